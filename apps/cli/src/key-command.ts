import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  type ApiKeyEntry,
  apiKeyFileSchema,
  newApiKey,
  type Scope,
  scopeSchema,
} from '@glyphmill/service/api-key';
import { Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';

const defaultScopes: Scope[] = ['jobs:write', 'jobs:read', 'webhooks:admin'];

type Places = NonNullable<ApiKeyEntry['buckets']>;

interface CreateOptions {
  tenant: string;
  scopes: Scope[];
  bucket?: Places;
  file: string;
}

/** `glyphmill key create`: makes an API key and adds its digest to the file that the API reads. */
export function keyCommand(): Command {
  const create = new Command('create')
    .description('Make an API key, add its digest to the key file, and print the key once')
    .requiredOption('--tenant <name>', 'the tenant whose jobs the key sees')
    .option('--scopes <list>', 'what it may do, separated by commas', parseScopes, defaultScopes)
    .option(
      '--bucket <name[/prefix]>',
      'a place its documents may come from; repeatable (default: any)',
      addPlace,
    )
    .option('--file <path>', 'the key file (API_KEYS_FILE)', 'api-keys.json')
    .action(({ tenant, scopes, bucket: buckets, file }: CreateOptions) => {
      const { key, entry } = newApiKey({ tenant, scopes, ...(buckets === undefined ? {} : { buckets }) });
      writeKeyFile(file, [...readKeyFile(file), entry]);
      process.stdout.write(`${key}\n`);
      process.stderr.write(`Its digest was added to ${file}; the API notices within seconds.\n`);
    });
  return new Command('key').description('Manage API keys').addCommand(create);
}

function addPlace(text: string, places: Places = []): Places {
  const [bucket = '', ...rest] = text.split('/');
  if (bucket === '') throw new InvalidArgumentError('expected a bucket, or bucket/prefix');
  return [...places, rest.length === 0 ? { bucket } : { bucket, prefix: rest.join('/') }];
}

function readKeyFile(file: string): ApiKeyEntry[] {
  try {
    return apiKeyFileSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** Readable by all, since a container may run as another user: it holds digests of random keys and no key. */
export function writeKeyFile(file: string, entries: readonly ApiKeyEntry[]): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(entries, null, 2)}\n`, { mode: 0o644 });
}

function parseScopes(text: string): Scope[] {
  const parsed = z.array(scopeSchema).safeParse(text.split(','));
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`expected some of ${scopeSchema.options.join(', ')}`);
}
