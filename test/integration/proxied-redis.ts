import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FaultProxy, startProxy } from '../faults/proxy.ts';
import { type RedisServer, startRedisServer } from '../faults/redis-server.ts';

/** A Redis of the test's own behind a network with faults; `stop` leaves nothing behind. */
export interface ProxiedRedis {
  redis: RedisServer;
  proxy: FaultProxy;
  /** Redis itself, and by way of the proxy. */
  urls: { near: string; far: string };
  stop(): Promise<void>;
}

export async function startProxiedRedis(): Promise<ProxiedRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-proxied-'));
  const redis = await startRedisServer(dir);
  const proxy = await startProxy(redis.port);
  const urlOf = ({ port }: { port: number }) => `redis://127.0.0.1:${port}`;
  return {
    redis,
    proxy,
    urls: { near: urlOf(redis), far: urlOf(proxy) },
    async stop() {
      await proxy.close();
      await redis.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
