/**
 * Measures what Glyphmill claims of its speed and memory, and prints a table: `npm run bench -- --help`. Every comparison
 * takes turns in the same run and is a median of the turns' own ratios, with CPU time beside speed, so that other work
 * on the machine spoils as little as possible. A target that is missed is said in the table; it is no failure.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { measureLatency } from './added-latency.ts';
import { measureBatcher } from './batcher.ts';
import { measureBatching } from './batching-gain.ts';
import type { BenchContext, Measurement } from './bench-measurement.ts';
import { renderTable, writeResults } from './bench-report.ts';
import { measureEngine } from './engine-efficiency.ts';
import { measureGraph } from './graph.ts';
import { measureMemory } from './memory-slope.ts';
import { measureWidths } from './mixed-widths.ts';
import { cutSampleLines, type SampleDocument } from './sample-lines.ts';

interface Kind {
  letter: string;
  name: string;
  what: string;
  measure: (context: BenchContext) => Promise<Measurement>;
}

const kinds: Kind[] = [
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
];

const usage = `npm run bench -- [--only <list>] [--quick] [--json <file>]

  --only <list>   of these, by letter or name, for example a,widths:
${kinds.map(({ letter, name, what }) => `                  ${letter}, ${name.padEnd(9)} ${what}`).join('\n')}
  --quick         few and short rounds: whether all works, in about a minute instead of seven
  --json <file>   write the figures with machine, date and command

The table goes to standard output, progress to standard error. Exit codes: 0 measured, whatever the figures;
1 something failed; 2 the command line is not valid. On a machine with an NVIDIA GPU there is test/bench/gpu.sh.
`;

const options = readOptions(process.argv.slice(2));
if (typeof options === 'string') {
  console.error(`bench: ${options}\n\n${usage}`);
  process.exitCode = 2;
} else if (options.help) process.stdout.write(usage);
else await bench(options);

interface Options {
  help: boolean;
  chosen: Kind[];
  quick: boolean;
  json: string | undefined;
}

/** Or what is wrong with them. */
function readOptions(args: string[]): Options | string {
  try {
    const text = { type: 'string' } as const;
    const flag = { type: 'boolean', default: false } as const;
    const { values } = parseArgs({ args, options: { only: text, json: text, quick: flag, help: flag } });
    const { help, quick, only, json } = values;
    const wanted = only?.split(',');
    const unknown = wanted?.find((word) => !kinds.some((kind) => isNamed(kind, word)));
    if (unknown !== undefined) return `--only: there is no "${unknown}"`;
    const chosen = kinds.filter((kind) => wanted?.some((word) => isNamed(kind, word)) ?? true);
    return { help, quick, json, chosen };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isNamed({ letter, name }: Kind, word: string): boolean {
  return word === letter || word === name;
}

async function bench({ chosen, quick, json }: Options): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'glyphmill-bench-'));
  try {
    const repository = join(folder, 'default');
    await importDefaultModels(repository);
    const start = performance.now();
    const note = (text: string) =>
      console.error(`${((performance.now() - start) / 1000).toFixed(0).padStart(4)} s  ${text}`);
    let cut: Promise<SampleDocument[]> | undefined;
    const documents = () => {
      if (!cut) note('cutting the lines out of the samples');
      cut ??= cutSampleLines({ repository, quick });
      return cut;
    };
    const found: (Measurement & { letter: string; name: string })[] = [];
    for (const { letter, name, what, measure } of chosen) {
      note(`(${letter}) ${name}: ${what}`);
      const measurement = await measure({
        quick,
        repository,
        folder,
        documents,
        note: (text) => note(`    ${text}`),
      });
      found.push({ letter, name, ...measurement });
    }
    process.stdout.write(renderTable(found));
    if (json !== undefined) {
      const seconds = Math.round((performance.now() - start) / 1000);
      await writeResults(json, { found, quick, seconds });
      console.error(`written to ${json}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
