import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newApiKey } from '@glyphmill/service/api-key';
import { z } from 'zod';
import { writeKeyFile } from './key-command.ts';

const secretsSchema = z.object({
  apiKey: z.string(),
  webhookSigningKey: z.string(),
  s3AccessKeyId: z.string(),
  s3SecretAccessKey: z.string(),
});
export type LocalSecrets = z.infer<typeof secretsSchema>;

/** The tenant of the embedded system's own key. */
export const localTenant = 'local';

/** The embedded system's secrets: made at its first start, kept in the data directory for its owner only. */
export function localSecrets(dataDir: string): LocalSecrets & { keysFile: string } {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = join(dataDir, 'secrets.json');
  const keysFile = join(dataDir, 'api-keys.json');
  try {
    return { ...secretsSchema.parse(JSON.parse(readFileSync(file, 'utf8'))), keysFile };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  const { key, entry } = newApiKey({ tenant: localTenant, scopes: ['admin'] });
  const secrets: LocalSecrets = {
    apiKey: key,
    webhookSigningKey: randomBytes(32).toString('base64url'),
    s3AccessKeyId: `GM${randomBytes(9).toString('hex').toUpperCase()}`,
    s3SecretAccessKey: randomBytes(30).toString('base64url'),
  };
  writeKeyFile(keysFile, [entry]);
  writeFileSync(file, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  return { ...secrets, keysFile };
}
