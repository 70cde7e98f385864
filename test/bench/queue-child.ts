/** The main file of a producer or a worker of the queue's bench. */
import { answerRequests } from './bench-answer.ts';
import { openBare } from './queue-bare.ts';
import { type QueueRequest, requestSchema, type Spent } from './queue-messages.ts';
import { openOurs } from './queue-ours.ts';
import type { QueueSide } from './queue-side.ts';

let side: QueueSide | undefined;

answerRequests(async (message) => {
  const request = requestSchema.parse(message);
  if (request.type !== 'open') return answer(request, open());
  side = await (request.side === 'ours' ? openOurs(request.url) : openBare(request.url));
  return { done: true };
});

function open(): QueueSide {
  if (side === undefined) throw new Error('expected to be told first whose queue it is');
  return side;
}

async function answer(
  request: Exclude<QueueRequest, { type: 'open' }>,
  { submit, bulk, trip, work }: QueueSide,
): Promise<object> {
  switch (request.type) {
    case 'submit':
      return spend(() => manyAtOnce(submit, request));
    case 'bulk':
      return spend(() => bulk(request.jobs));
    case 'work':
      return await workOff(work, request);
    case 'serve':
      await work({ ...request, onBegin: () => {}, onEnd: () => {} });
      return { done: true };
    case 'trips': {
      const tripMs: number[] = [];
      for (let made = 0; made < request.jobs; made += 1) {
        const begunMs = performance.now();
        await trip();
        tripMs.push(performance.now() - begunMs);
      }
      return { tripMs };
    }
  }
}

async function manyAtOnce(
  submit: QueueSide['submit'],
  { jobs, atOnce }: { jobs: number; atOnce: number },
): Promise<void> {
  let left = jobs;
  const producer = async () => {
    while (left > 0) {
      left -= 1;
      await submit();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, producer));
}

/** From the first job in hand, so that a worker's start costs nothing here, to the end of the last one. */
async function workOff(
  work: QueueSide['work'],
  { jobs, concurrency }: { jobs: number; concurrency: number },
): Promise<Spent> {
  let clock: (() => Spent) | undefined;
  let ended = 0;
  let tell = (_spent: Spent) => {};
  const spent = new Promise<Spent>((resolve) => {
    tell = resolve;
  });
  const worker = await work({
    concurrency,
    jobMs: 0,
    onBegin: () => {
      clock ??= startClock();
    },
    onEnd: () => {
      ended += 1;
      if (ended === jobs && clock !== undefined) tell(clock());
    },
  });
  try {
    return await spent;
  } finally {
    await worker.close();
  }
}

async function spend(run: () => Promise<void>): Promise<Spent> {
  const clock = startClock();
  await run();
  return clock();
}

function startClock(): () => Spent {
  const begunMs = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { seconds: (performance.now() - begunMs) / 1000, cpuSeconds: (user + system) / 1e6 };
  };
}
