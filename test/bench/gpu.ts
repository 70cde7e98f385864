/**
 * Recognition on a GPU: whether it reads what the CPU reads, and lines per second over batch sizes and instances,
 * beside bare loops of the runtime with the same batch size, process count and width. test/bench/gpu.sh prepares the
 * machine and runs this; with --provider cpu it runs anywhere and shows the form of the table.
 *
 *   node --import tsx test/bench/gpu.ts [--provider cuda] [--sizes 1,2,4,…,256] [--instances 1,2,4] [--seconds 5]
 *     [--width 320] [--out test/bench/results/gpu-cuda.json]
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cudaLibraryMissing } from '@glyphmill/inference/cuda-library';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { z } from 'zod';
import { type GpuUse, nvidiaSmi, watchGpu } from './gpu-busy.ts';
import { compareWithCpu } from './gpu-correctness.ts';
import { describeMachine } from './machine.ts';
import { openBare, openOurs, runOnce } from './recognizer-load.ts';
import { copyRepository } from './repository-shape.ts';
import { cutSampleLines, linesOf, linesOfWidth } from './sample-lines.ts';

const list = z
  .string()
  .transform((text) => text.split(',').map(Number))
  .pipe(z.array(z.int().min(1).max(1024)).min(1));
const optionsSchema = z.object({
  provider: z.enum(['cuda', 'cpu']).default('cuda'),
  sizes: list.default([1, 2, 4, 8, 16, 32, 64, 128, 256]),
  instances: list.default([1, 2, 4]),
  seconds: z.coerce.number().positive().default(5),
  width: z.coerce.number().int().positive().default(320),
  out: z.string().optional(),
});
type Options = z.infer<typeof optionsSchema>;

interface Row {
  batch: number;
  instances: number;
  linesPerSecond: number;
  bareLinesPerSecond: number;
  /** Ours over bare. */
  ratio: number;
  gpu: GpuUse | undefined;
  bareGpu: GpuUse | undefined;
}

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { provider: text, sizes: text, instances: text, seconds: text, width: text, out: text },
});
const options = optionsSchema.parse(values);
const missing = options.provider === 'cuda' ? cudaLibraryMissing() : undefined;
if (missing === undefined) await bench(options);
else {
  console.error(`gpu.ts: ${missing}; give its folder as ORT_CUDA_LIB to test/bench/gpu.sh, which says more.`);
  process.exitCode = 1;
}

async function bench({ provider, sizes, instances, seconds, width, out }: Options): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'glyphmill-bench-'));
  try {
    const machine = { gpu: await describeGpu(), ...describeMachine() };
    console.log(Object.values(machine).join('; '));
    await importDefaultModels(join(folder, 'default'));
    const correctness = await compareWithCpu(join(folder, 'default'), provider);
    const { lines, different, largestDifference, passed } = correctness;
    console.log(
      `${passed ? 'correct' : 'WRONG'}: ${lines} lines, ${different.length} texts differ from the CPU's, confidence by ${largestDifference.toExponential(1)} at most`,
    );
    if (!passed) process.exitCode = 1;
    const samples = await cutSampleLines({ repository: join(folder, 'default'), quick: true });
    const crops = linesOfWidth(linesOf(samples), width);
    const rows: Row[] = [];
    console.log(
      '\n| batch | instances | lines/s | bare lines/s | ratio | GPU busy | bare GPU busy | GPU MiB |\n|---|---|---|---|---|---|---|---|',
    );
    for (const batch of sizes) {
      const repository = join(folder, `batch-${batch}`);
      await copyRepository({ from: join(folder, 'default'), to: repository, batch, width });
      for (const count of instances) {
        const load = { repository, provider, instances: count, seconds, width, batch, lines: crops };
        const bare = await watchGpu(() => runOnce(openBare(load)));
        const ours = await watchGpu(() => runOnce(openOurs(load)));
        rows.push({
          batch,
          instances: count,
          linesPerSecond: ours.figures.linesPerSecond,
          bareLinesPerSecond: bare.figures.linesPerSecond,
          ratio: ours.figures.linesPerSecond / bare.figures.linesPerSecond,
          gpu: ours.use,
          bareGpu: bare.use,
        });
        console.log(format(rows.at(-1)));
      }
    }
    const file = out ?? fileURLToPath(new URL(`results/gpu-${provider}.json`, import.meta.url));
    const command = `gpu.ts --provider ${provider} --sizes ${sizes} --instances ${instances} --seconds ${seconds} --width ${width}`;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${JSON.stringify({ machine, command, correctness, rows }, null, 2)}\n`);
    console.log(`\nwritten to ${file}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function format(row: Row | undefined): string {
  if (row === undefined) return '';
  const percent = (use: GpuUse | undefined) => (use === undefined ? '–' : `${use.busyPercent.toFixed(0)} %`);
  const cells = [
    row.batch,
    row.instances,
    row.linesPerSecond.toFixed(1),
    row.bareLinesPerSecond.toFixed(1),
    row.ratio.toFixed(2),
    percent(row.gpu),
    percent(row.bareGpu),
    row.gpu?.mostMemoryMib ?? '–',
  ];
  return `| ${cells.join(' | ')} |`;
}

async function describeGpu(): Promise<string> {
  const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'];
  return (await nvidiaSmi(query))?.trim() ?? 'no GPU';
}
