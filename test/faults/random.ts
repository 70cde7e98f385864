import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../integration/queue-setup.ts';
import { lineDocument, openLedger, type Submission } from './ledger.ts';
import { submitUntilTaken } from './producer.ts';
import { drawDocumentFault, drawFault, seededRandom } from './random-faults.ts';
import { accepted } from './receiver.ts';
import { type FaultSystem, startFaultSystem } from './system.ts';

// `npm run test:faults -- --random --minutes 30 [--seed 7]`: row 45, faults by chance while jobs go through.

export interface RandomOptions {
  minutes: number;
  seed: number;
  say: (line: string) => void;
}

const environment = { FETCH_TIMEOUT_SECONDS: '3' };
const producers = 4;
/** Jobs accepted and not ended; the machine works, and does not only catch up at the end. */
const maxOpen = 100;
/** In a hundred jobs so many meet a fault of the store, and so many a receiver that drops its first delivery. */
const faultyDocuments = 0.05;
const faultyReceivers = 0.05;
/** Between one fault's end and the next one's beginning. */
const quietMs = { least: 1000, most: 10_000 };
/** Longer than any single fault, its recovery, and a worker's lock together. */
const recoveryMs = 180_000;
const pauseMs = 50;

/** Throws an AssertionError that names the promise which was not kept; the seed then draws the same faults again. */
export async function runRandom({ minutes, seed, say }: RandomOptions): Promise<void> {
  say(`row 45: ${minutes} minutes of faults, --seed ${seed}`);
  const system = await startFaultSystem(environment);
  const ledger = openLedger(system, 'random');
  const begunMs = performance.now();
  const endMs = begunMs + minutes * 60_000;
  let isOver = false;
  try {
    const producing = Array.from({ length: producers }, (_, producer) =>
      produce({ system, seed: seed + 1 + producer, ledger, isOver: () => isOver }),
    );
    // A producer that gives up ends the run at once.
    const failed = Promise.all(producing);
    failed.catch(() => {});
    const random = seededRandom(seed);
    while (performance.now() < endMs) {
      const fault = drawFault(random);
      const atSeconds = Math.round((performance.now() - begunMs) / 1000);
      say(`${String(atSeconds).padStart(5)} s  ${fault.name} (${ledger.ids.length} jobs accepted)`);
      await Promise.race([fault.run(system, random), failed]);
      await Promise.race([delay(quietMs.least + random() * (quietMs.most - quietMs.least)), failed]);
    }
    isOver = true;
    await system.proxy.restore();
    await failed;
    await until('P4: every process is ready again', () => areReady(system), recoveryMs);
    await ledger.check({ withinMs: recoveryMs });
    say(`row 45: ${ledger.ids.length} jobs, each kept what was promised, --seed ${seed}`);
    await system.close();
  } catch (error) {
    say(`row 45: failed with --seed ${seed}; the logs are kept in ${system.dir}`);
    isOver = true;
    await system.close('keep');
    throw error;
  }
}

/** Submits jobs, some of which meet a fault of their own, until it is over. */
async function produce(options: {
  system: FaultSystem;
  seed: number;
  ledger: ReturnType<typeof openLedger>;
  isOver: () => boolean;
}): Promise<void> {
  const { system, seed, ledger, isOver } = options;
  const random = seededRandom(seed);
  const opened: string[] = [];
  for (let number = 0; !isOver(); number += 1) {
    const { bytes, text } = lineDocument(Math.floor(random() * 4));
    const key = `random-${seed}/${number}`;
    await system.put(key, bytes);
    if (random() < faultyDocuments)
      system.s3.fail({ operation: 'GetObject', prefix: key, fault: drawDocumentFault(random), times: 1 });
    const job: Submission = { key, expected: { text } };
    if (random() < faultyReceivers) job.hook = system.receiver.hook('drop', accepted);
    opened.push(await submitUntilTaken(ledger, job, { idempotencyKey: key, withinMs: recoveryMs }));
    const oldest = opened.length > maxOpen / producers ? opened.shift() : undefined;
    if (oldest !== undefined) await ledger.ended(oldest, recoveryMs);
    await delay(pauseMs);
  }
}

async function areReady({ api, worker, webhook }: FaultSystem): Promise<boolean> {
  const ready = await Promise.allSettled([api, worker, webhook].map((app) => app.ready()));
  return ready.every(({ status }) => status === 'fulfilled');
}
