/**
 * Measures what Glyphmill claims of its speed and memory, and prints a table: `npm run bench -- --help`. Every comparison
 * takes turns in the same run and is a median of the turns' own ratios, with CPU time beside speed, so that other work
 * on the machine spoils as little as possible. A target that is missed is said in the table; it is no failure.
 */
import { join } from 'node:path';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { measureLatency } from './added-latency.ts';
import { measureBatcher } from './batcher.ts';
import { measureBatching } from './batching-gain.ts';
import { runBench } from './bench-command.ts';
import type { ModelBenchContext } from './bench-measurement.ts';
import { measureEngine } from './engine-efficiency.ts';
import { measureGraph } from './graph.ts';
import { measureMemory } from './memory-slope.ts';
import { measureWidths } from './mixed-widths.ts';
import { cutSampleLines, type SampleDocument } from './sample-lines.ts';

await runBench<ModelBenchContext>({
  command: 'npm run bench',
  kinds: [
    {
      letter: 'a',
      name: 'engine',
      what: 'lines/s of the worker path over a bare loop',
      measure: measureEngine,
    },
    { letter: 'b', name: 'batching', what: 'gain over batches of 1', measure: measureBatching },
    {
      letter: 'c',
      name: 'latency',
      what: 'what a line that comes alone waits longer',
      measure: measureLatency,
    },
    { letter: 'd', name: 'batcher', what: 'CPU time of the micro-batcher an item', measure: measureBatcher },
    { letter: 'e', name: 'memory', what: 'growth over 10,000 lines', measure: measureMemory },
    { letter: 'f', name: 'widths', what: 'gain of the width ladder, and the text', measure: measureWidths },
    { letter: 'g', name: 'graph', what: 'models as imported over as published', measure: measureGraph },
  ],
  duration: { whole: 'seven minutes', quick: 'about a minute' },
  remark: ' On a machine with an NVIDIA GPU there is test/bench/gpu.sh.',
  async prepare(context) {
    const { quick, folder, note } = context;
    const repository = join(folder, 'default');
    await importDefaultModels(repository);
    let cut: Promise<SampleDocument[]> | undefined;
    const documents = () => {
      if (!cut) note('cutting the lines out of the samples');
      cut ??= cutSampleLines({ repository, quick });
      return cut;
    };
    return { ...context, repository, documents };
  },
});
