import { setTimeout as delay } from 'node:timers/promises';
import { childrenRunning } from './processes.ts';
import type { Rule } from './s3-double.ts';
import type { FaultSystem } from './system.ts';

/** Numbers in [0, 1). */
export type Random = () => number;

export interface RandomFault {
  name: string;
  /** Resolves when the fault is over; what it did to the system may take longer to pass. */
  run(system: FaultSystem, random: Random): Promise<void>;
}

/** mulberry32, by Tommy Ettinger (public domain): small, and good enough to draw lots. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const drawFault = (random: Random): RandomFault => pick(faults, random);
export const drawDocumentFault = (random: Random): Rule['fault'] => pick(documentFaults, random);

const documentFaults: readonly [Rule['fault'], ...Rule['fault'][]] = [
  { status: 503, code: 'SlowDown' },
  { status: 500, code: 'InternalError' },
  { status: 400, code: 'ExpiredToken' },
  { hangMs: 60_000 },
  { dripBytesPerSecond: 200 },
  { truncateAt: 700 },
  { corruptByteAt: 1000 },
];

const between = (random: Random, least: number, most: number) => least + random() * (most - least);

/** Until the time is over or the proxy is restored by hand; the connections made meanwhile are let go. */
async function forAWhile({ proxy }: FaultSystem, random: Random, mostMs: number): Promise<void> {
  await delay(between(random, 500, mostMs));
  await proxy.restore();
}

/** A process that stands still and goes on. */
async function freeze(
  kill: (signal: NodeJS.Signals) => void,
  { random, mostMs }: { random: Random; mostMs: number },
): Promise<void> {
  kill('SIGSTOP');
  try {
    await delay(between(random, 500, mostMs));
  } finally {
    kill('SIGCONT');
  }
}

const faults: readonly [RandomFault, ...RandomFault[]] = [
  { name: 'kill -9 worker', run: ({ worker }) => worker.crash() },
  { name: 'kill -9 API', run: ({ api }) => api.crash() },
  { name: 'kill -9 webhook process', run: ({ webhook }) => webhook.crash() },
  {
    name: 'kill -9 Redis, and start it again',
    async run({ redis }) {
      await redis.kill();
      await redis.start();
    },
  },
  {
    name: 'Redis stands still',
    run: ({ redis }, random) =>
      freeze((signal) => void process.kill(redis.pid, signal), { random, mostMs: 8000 }),
  },
  {
    name: 'the worker stands still, maybe for longer than its locks',
    run: ({ worker }, random) => freeze((signal) => worker.kill(signal), { random, mostMs: 25_000 }),
  },
  {
    name: 'a decoding child segfaults',
    async run({ worker }, random) {
      const children = childrenRunning(worker.pid, 'decode-process.ts');
      const child = children[Math.floor(random() * children.length)];
      if (child !== undefined) process.kill(child, 'SIGSEGV');
    },
  },
  { name: 'all connections to Redis are reset', run: async ({ proxy }) => proxy.reset() },
  { name: 'all connections to Redis go silent', run: async ({ proxy }) => proxy.silence() },
  {
    name: 'connections to Redis are refused',
    async run(system, random) {
      await system.proxy.refuse();
      await forAWhile(system, random, 15_000);
    },
  },
  {
    name: 'what is sent to and from Redis waits',
    async run(system, random) {
      system.proxy.hold();
      await forAWhile(system, random, 10_000);
    },
  },
  {
    name: 'Redis is far away',
    async run(system, random) {
      system.proxy.travel({ latencyMs: 100, jitterMs: 50 });
      await forAWhile(system, random, 20_000);
    },
  },
  {
    name: 'answers of Redis are cut',
    async run(system, random) {
      system.proxy.cutAfter(Math.round(between(random, 1, 20_000)));
      await forAWhile(system, random, 5000);
    },
  },
];

function pick<T>(from: readonly [T, ...T[]], random: Random): T {
  return from[Math.floor(random() * from.length)] ?? from[0];
}
