import { constants } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectRedis } from '@glyphmill/queue/redis-policy';
import { s3Settings, storeAddress } from '@glyphmill/service/common-settings';
import { type Config, readConfig } from '@glyphmill/service/config';
import { openObjectStore } from '@glyphmill/storage/object-store';
import { type Check, type DoctorContext, fail, failed, findProgram, may, ok, warn } from './doctor-check.ts';
import { hasOwnStore } from './local-system.ts';

/** The Redis and the S3 store that the settings name, else the ones that `start` brings along. */
export async function checkServices(context: DoctorContext): Promise<Check[]> {
  return Promise.all([checkRedis(context), checkS3(context)]);
}

async function checkRedis({ env, dataDir }: DoctorContext): Promise<Check> {
  const url = env.REDIS_URL;
  if (!url) return checkEmbeddedRedis(env.PATH ?? '', join(dataDir, 'cache'));
  try {
    const { version, problem, warnings } = await inspectRedis(url);
    if (problem !== undefined) return fail('redis', `${version}: ${problem}`);
    if (warnings.length > 0) return warn('redis', `${version}, noeviction. ${warnings.join(' ')}`);
    return ok('redis', `${version} at REDIS_URL answers; noeviction, with an append-only file`);
  } catch (error) {
    return failed('redis', error, 'Or unset REDIS_URL: "glyphmill start" then brings a Redis of its own');
  }
}

/** Looks only: nothing is fetched or started. */
async function checkEmbeddedRedis(searchPath: string, cacheDir: string): Promise<Check> {
  const installed = await findProgram(['valkey-server', 'redis-server'], searchPath);
  if (installed !== undefined) return ok('redis', `REDIS_URL is not set: "start" runs ${installed}`);
  const cached = await fetchedRedis(cacheDir);
  if (cached !== undefined)
    return ok('redis', `REDIS_URL is not set: "start" runs ${cached}, fetched before`);
  const remedy = 'Install redis or valkey, or set REDIS_URL to a running server';
  const apt = await findProgram(['apt-get'], searchPath);
  const dpkg = await findProgram(['dpkg-deb'], searchPath);
  if (apt !== undefined && dpkg !== undefined)
    return warn(
      'redis',
      `REDIS_URL is not set and no server is on PATH: "start" fetches the distribution's package once, into ${cacheDir}. Without a network: ${remedy}`,
    );
  return fail(
    'redis',
    `REDIS_URL is not set, no server is on PATH, and without APT none can be fetched. ${remedy}`,
  );
}

async function fetchedRedis(cacheDir: string): Promise<string | undefined> {
  const entries = await readdir(cacheDir).catch(() => []);
  for (const entry of entries.filter((name) => name.startsWith('redis-'))) {
    const path = join(cacheDir, entry, 'usr', 'bin', 'redis-server');
    if (await may(path, constants.X_OK)) return path;
  }
  return undefined;
}

async function checkS3({ env }: DoctorContext): Promise<Check> {
  if (!hasOwnStore(env))
    return ok('s3', 'neither S3_ENDPOINT nor AWS credentials are set: "start" brings an S3 store of its own');
  try {
    return await checkBucket(readConfig(s3Settings, env));
  } catch (error) {
    return failed('s3', error, 'Correct the settings, which docs/configuration.md describes');
  }
}

async function checkBucket(config: Config<typeof s3Settings>): Promise<Check> {
  const { s3Endpoint, s3SystemBucket: bucket } = config;
  const where = s3Endpoint ?? `AWS (${config.s3Region})`;
  const store = openObjectStore(storeAddress(config));
  try {
    await store.checkBucket(bucket);
    return ok('s3', `${where} answers, and the bucket "${bucket}" is ours to use`);
  } catch (error) {
    if (error instanceof Error && error.name === 'NotFound')
      return warn(
        's3',
        `${where} has no bucket "${bucket}". The API creates it where it may; else create it`,
      );
    return failed(
      's3',
      new Error(`${where} does not let us use the bucket "${bucket}" (${describe(error)})`, { cause: error }),
      'Check S3_ENDPOINT, S3_FORCE_PATH_STYLE, the keys and their rights on the bucket',
    );
  } finally {
    store.close();
  }
}

/** An answer to HEAD has no body, so that the SDK often knows no more than the name of its class. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === '' || error.message === 'UnknownError' ? error.name : error.message;
}
