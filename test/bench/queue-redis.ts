import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startRedis } from '@glyphmill/embedded/redis';
import { connectConsumer, ready } from '@glyphmill/queue/connection';
import type { BenchContext } from './bench-measurement.ts';

/** Shared with the tests of this checkout, so that at most the first one downloads. */
const cacheDir = fileURLToPath(new URL('../../.glyphmill/cache', import.meta.url));

/** A Redis of a measurement's own, and what it says of itself. */
export interface BenchRedis {
  url: string;
  /** Forgets everything. */
  clear(): Promise<void>;
  /** CPU seconds that the server has used so far. */
  cpuSeconds(): Promise<number>;
  /** Bytes of data: without what the append-only file waits to be written. */
  dataBytes(): Promise<number>;
  /** All that counts towards maxmemory. */
  usedBytes(): Promise<number>;
  field(key: string, field: string): Promise<string | null>;
  stop(): Promise<void>;
}

let servers = 0;

/** With an append-only file and a bound on its memory, as it has to be run. */
export async function startBenchRedis(
  { folder }: BenchContext,
  extraArgs: string[] = [],
): Promise<BenchRedis> {
  servers += 1;
  const server = await startRedis({
    dir: join(folder, `redis-${servers}`),
    cacheDir,
    extraArgs: ['--maxmemory', '2gb', ...extraArgs],
  });
  const redis = connectConsumer(server.url, (error) => console.error(error));
  await ready(redis, 10_000);
  const info = async (section: string) => {
    const text = await redis.info(section);
    return (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  };
  return {
    url: server.url,
    clear: async () => void (await redis.flushall()),
    async cpuSeconds() {
      const read = await info('cpu');
      return read('used_cpu_user') + read('used_cpu_sys');
    },
    async dataBytes() {
      const read = await info('memory');
      return read('used_memory') - read('mem_aof_buffer') - read('mem_clients_normal');
    },
    usedBytes: async () => (await info('memory'))('used_memory'),
    field: (key, field) => redis.hget(key, field),
    async stop() {
      redis.disconnect();
      await server.stop();
    },
  };
}
