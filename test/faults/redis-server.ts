import { join } from 'node:path';
import { type EmbeddedRedis, startRedis } from '@glyphmill/embedded/redis';
import { connectConsumer, type Redis, ready } from '@glyphmill/queue/connection';
import { freePorts } from 'glyphmill-cli/free-ports';
import { repositoryRoot } from '../e2e/system.ts';

/** A Redis that can be killed and started again on the same data and port. */
export interface RedisServer {
  port: number;
  /** A connection of our own, around every fault of the network. */
  client: Redis;
  readonly pid: number;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  start(extraArgs?: string[]): Promise<void>;
  stop(): Promise<void>;
}

const cacheDir = join(repositoryRoot, '.glyphmill/cache');
const connectDeadlineMs = 10_000;

export async function startRedisServer(dir: string, extraArgs: string[] = []): Promise<RedisServer> {
  const [port = 0] = await freePorts(1);
  const start = (args: string[]) => startRedis({ dir, cacheDir, port, extraArgs: args });
  let server: EmbeddedRedis = await start(extraArgs);
  const client = connectConsumer(`redis://127.0.0.1:${port}`, () => {});
  await ready(client, connectDeadlineMs);
  return {
    port,
    client,
    get pid() {
      return server.pid;
    },
    async kill() {
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
    },
    async start(args = extraArgs) {
      server = await start(args);
    },
    async stop() {
      client.disconnect();
      await server.stop();
    },
  };
}
