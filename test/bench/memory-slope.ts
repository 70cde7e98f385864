import { z } from 'zod';
import { openChild } from './bench-child.ts';
import type { Measurement, ModelBenchContext } from './bench-measurement.ts';
import { megabytes, signed } from './figure-text.ts';
import { describeWidths, mixLines } from './line-mix.ts';
import type { MemoryTask } from './memory-load.ts';
import { rssBytes } from './process-use.ts';
import { linesOf } from './sample-lines.ts';
import { leastSquares } from './statistics.ts';

const instances = 2;
const mixSize = 480;
/** More than this and the slope counts as growth. */
const target = { bytesPerThousandLines: 1e6, text: '< 1 MB' };

const progressSchema = z.object({ lines: z.int(), pids: z.array(z.int()).min(1), restarts: z.int() });

interface Sample {
  /** Read so far. */
  lines: number;
  workerBytes: number;
  childrenBytes: number;
}

/**
 * Whether memory stays where it is: the resident memory of a process with openModels in it and of all its instances, over
 * 10,000 lines of many widths. Each sample is taken after the same number of lines; the line through those after the
 * warm-up says what 1,000 lines add. The runtime keeps the most that any batch of any width has taken, so that an instance
 * is warm only when it has met most of them: that takes some 2,000 lines each. The worker's garbage is collected before each
 * sample: how much of it V8 lets lie moves by more than what is looked for.
 */
export async function measureMemory(context: ModelBenchContext): Promise<Measurement> {
  const { quick, repository, documents, note } = context;
  const [total, warmUp, every] = quick ? [480, 240, 40] : [10_000, 4000, 100];
  const lines = mixLines(linesOf(await documents()), mixSize);
  const task: MemoryTask = { repository, instances, total, lines };
  const samples: Sample[] = [];
  let restarts = 0;
  const child = openChild('memory-load.ts', ['--expose-gc']);
  try {
    await child.ask(task, progressSchema);
    for (let wanted = every; wanted <= total; wanted += every) {
      const progress = await child.ask({ lines: wanted }, progressSchema);
      const [workerBytes = 0, ...childrenBytes] = progress.pids.map(rssBytes);
      const sample = {
        lines: progress.lines,
        workerBytes,
        childrenBytes: childrenBytes.reduce((a, b) => a + b, 0),
      };
      samples.push(sample);
      restarts = progress.restarts;
      if (wanted % (10 * every) === 0) note(`${wanted} of ${total} lines: ${megabytes(totalBytes(sample))}`);
    }
  } finally {
    await child.close();
  }
  const warm = samples.filter((sample) => sample.lines > warmUp);
  const slopeOf = (bytesOf: (sample: Sample) => number) =>
    leastSquares(warm.map((sample) => ({ x: sample.lines / 1000, y: bytesOf(sample) })));
  const { slope, standardError } = slopeOf(totalBytes);
  const mostBytes = Math.max(...samples.map(totalBytes));
  const [warmBytes = 0, endBytes = 0] = [warm[0], warm.at(-1)].map((sample) => sample && totalBytes(sample));
  return {
    figures: {
      setting: { instances, threads: 1, mix: describeWidths(lines), total, warmUp },
      bytesPerThousandLines: slope,
      standardError,
      ofWorker: slopeOf(({ workerBytes }) => workerBytes).slope,
      ofInstances: slopeOf(({ childrenBytes }) => childrenBytes).slope,
      mostBytes,
      restarts,
      samples,
    },
    rows: [
      {
        what: `memory of worker process and instances over ${total.toLocaleString('en')} lines, per 1,000 after ${warmUp.toLocaleString('en')}`,
        figure: `${signed(slope / 1e6, 2)} MB (± ${(standardError / 1e6).toFixed(2)}): ${megabytes(warmBytes)} then, ${megabytes(endBytes)} at the end`,
        target: {
          text: target.text,
          ...(quick ? {} : { met: slope < target.bytesPerThousandLines && restarts === 0 }),
        },
      },
    ],
  };
}

function totalBytes({ workerBytes, childrenBytes }: Sample): number {
  return workerBytes + childrenBytes;
}
