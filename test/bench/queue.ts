/**
 * Measures what our queue costs beside BullMQ as it comes: `npm run bench:queue -- --help`. Both sides take turns in the
 * same run, on one Redis, in processes of their own; figures are medians of the turns' own ratios.
 */
import { runBench } from './bench-command.ts';
import { measureTrips } from './queue-latency.ts';
import { measureThroughput } from './queue-throughput.ts';

await runBench({
  command: 'npm run bench:queue',
  kinds: [
    {
      letter: 'a',
      name: 'jobs',
      what: 'submit → commit beside a bare BullMQ producer and worker',
      measure: measureThroughput,
    },
    { letter: 'b', name: 'latency', what: 'what a job that comes alone waits longer', measure: measureTrips },
  ],
  duration: { whole: 'ten minutes', quick: 'about two' },
  prepare: async (context) => context,
});
