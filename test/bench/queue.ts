/**
 * Measures what our queue costs beside BullMQ as it comes: `npm run bench:queue -- --help`. Both sides take turns in the
 * same run, on one Redis, in processes of their own; figures are medians of the turns' own ratios.
 */
import { runBench } from './bench-command.ts';
import { measureHttp } from './queue-http.ts';
import { measureTrips } from './queue-latency.ts';
import { measureManifest } from './queue-manifest.ts';
import { measureOverload } from './queue-overload.ts';
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
    { letter: 'c', name: 'http', what: 'submitting through HTTP', measure: measureHttp },
    {
      letter: 'd',
      name: 'manifest',
      what: 'a batch of 100,000 jobs, and the API meanwhile',
      measure: measureManifest,
    },
    { letter: 'e', name: 'overload', what: 'ten times what the worker can do', measure: measureOverload },
  ],
  duration: { whole: 'ten minutes', quick: 'about a minute' },
  timed: 'how long overload lasts: 120 by default, with --quick 15',
  prepare: async (context) => context,
});
