import { newId } from '@glyphmill/contract/id';
import { connectConsumer, ready } from '@glyphmill/queue/connection';
import { Queue, QueueEvents, Worker } from 'bullmq';
import { bulkSize, newTask, type QueueSide, readNothing } from './queue-side.ts';

const name = 'bare';
const prefix = '{bare}';

/** BullMQ as its users have it, with our priority, our ids and what it keeps of jobs that ended, over the same client. */
export async function openBare(url: string): Promise<QueueSide> {
  const onError = (error: Error) => console.error(error);
  const connection = connectConsumer(url, onError);
  await ready(connection, 10_000);
  const queue = new Queue(name, {
    connection,
    prefix,
    defaultJobOptions: {
      attempts: 5,
      priority: 5,
      removeOnComplete: { age: 3600, count: 1000 },
      removeOnFail: { age: 86_400, count: 10_000 },
    },
    streams: { events: { maxLen: 1000 } },
  });
  queue.on('error', onError);
  let events: QueueEvents | undefined;
  const newJob = () => ({ name: 'document', data: newTask(), opts: { jobId: newId('job') } });
  const add = () => {
    const { name, data, opts } = newJob();
    return queue.add(name, data, opts);
  };

  return {
    submit: async () => void (await add()),
    async bulk(jobs) {
      for (let made = 0; made < jobs; made += bulkSize) {
        await queue.addBulk(Array.from({ length: Math.min(bulkSize, jobs - made) }, newJob));
      }
    },
    async trip() {
      if (events === undefined) {
        events = new QueueEvents(name, { connection: connectConsumer(url, onError), prefix });
        await events.waitUntilReady();
      }
      const job = await add();
      await job.waitUntilFinished(events, 10_000);
    },
    async work({ concurrency, jobMs, onBegin, onEnd }) {
      const handler = async () => {
        onBegin();
        await readNothing({ jobMs, step: () => {} });
        onEnd();
        return { text: '9912' };
      };
      const worker = new Worker(name, handler, { connection, prefix, concurrency, drainDelay: 5 });
      worker.on('error', onError);
      await worker.waitUntilReady();
      return { close: () => worker.close() };
    },
  };
}
