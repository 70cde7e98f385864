import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { dataDirOption, defaultDataDir } from './data-dir.ts';
import { expectFree } from './free-ports.ts';
import { hasOwnStore, type LocalSystem, startLocalSystem } from './local-system.ts';
import { forgetLocal, rememberLocal } from './target.ts';

interface StartOptions {
  dataDir: string;
  port: number;
  s3Port: number;
  metricsPort: number;
}

/** `glyphmill start`: everything on this machine, nothing configured. */
export function startCommand(): Command {
  return new Command('start')
    .description('Bring up the whole system on this machine: Redis, S3, API, worker, webhooks')
    .option('--port <port>', 'port of the API', parsePort, 8080)
    .option('--s3-port <port>', 'port of the embedded S3 store', parsePort, 9000)
    .option(
      '--metrics-port <port>',
      'metrics of the API; the worker’s and webhook’s are the next two',
      parsePort,
      9090,
    )
    .addOption(dataDirOption())
    .addHelpText(
      'after',
      `
REDIS_URL, S3_ENDPOINT and the other settings of docs/configuration.md are honoured: with REDIS_URL no Redis
is started, with S3_ENDPOINT or AWS credentials no S3 store.`,
    )
    .action(run);
}

async function run({ dataDir, port, s3Port, metricsPort }: StartOptions): Promise<void> {
  const metrics = { api: metricsPort, worker: metricsPort + 1, webhook: metricsPort + 2 };
  await expectFree(port, 'choose another one with --port');
  if (!hasOwnStore(process.env)) await expectFree(s3Port, 'choose another one with --s3-port');
  for (const taken of Object.values(metrics)) await expectFree(taken, 'choose others with --metrics-port');
  const stop = new AbortController();
  // Once is not enough: npm hands Ctrl-C on to us besides the terminal, and dying of the second would orphan Redis.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());

  const say = (line: string) => process.stderr.write(`${line}\n`);
  const system = await startLocalSystem({
    dataDir,
    cacheDir: dataDir,
    ports: { api: port, s3: s3Port, metrics },
    env: process.env,
    say,
  });
  try {
    const ownKeys = Boolean(process.env.API_KEYS_FILE);
    if (!ownKeys) rememberLocal(dataDir, { url: system.url, apiKey: system.apiKey });
    const apiKey = ownKeys ? '<a key of API_KEYS_FILE>' : system.apiKey;
    process.stdout.write(welcome({ ...system, apiKey }, dataDir));
    if (!stop.signal.aborted) await once(stop.signal, 'abort');
    say('\nstopping; jobs in hand go back to the queue …');
  } finally {
    forgetLocal(dataDir);
    await system.stop();
  }
  say('stopped; everything is kept for the next start');
}

/** A picture that comes with the repository, else a name to replace. */
function sampleFile(): string {
  const sample = join('test', 'fixtures', 'samples', 'letter.png');
  return existsSync(sample) ? sample : 'page.png';
}

function welcome({ url, apiKey, s3, logDir }: LocalSystem, dataDir: string): string {
  const place = dataDir === defaultDataDir ? '' : ` --data-dir ${dataDir}`;
  const auth = `-H "Authorization: Bearer ${apiKey}"`;
  const store =
    s3 === undefined
      ? ''
      : `\n  S3       ${s3.endpoint}, bucket "${s3.bucket}" (keys: secrets.json in the data directory)`;
  return `
Glyphmill is ready.

  open     ${url}   to read a picture, ${url}/queues to watch the queues
  API      ${url}   (documentation: ${url}/docs)
  API key  ${apiKey}${store}
  logs     ${logDir}

Try, in another terminal:

  curl -s ${auth} -F image=@${sampleFile()} ${url}/v1/recognize
  npx glyphmill submit --wait${place} ${sampleFile()}
  curl -s ${auth} ${url}/v1/jobs

Ctrl-C stops everything.
`;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new InvalidArgumentError('expected a port from 1 to 65535');
}
