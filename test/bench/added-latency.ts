import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LineCrop } from '@glyphmill/core/rectify';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { type BatchEvent, openModels } from '@glyphmill/inference/models';
import type { Measurement, ModelBenchContext } from './bench-measurement.ts';
import { signed } from './figure-text.ts';
import { openBare } from './recognizer-load.ts';
import { linesOf, linesOfWidth } from './sample-lines.ts';
import { median } from './statistics.ts';
import { type OpenLoad, takeTurns } from './take-turns.ts';

const width = 320;

/** Times of one run, in ms. */
interface Times {
  runMs: number[];
  /** Only of the worker: what each line's time went into. */
  parts: Parts[];
}

interface Parts {
  /** From being queued to the start of its micro-batch. */
  queueMs: number;
  packMs: number;
  inferMs: number;
  /** CTC and spaces. */
  postMs: number;
  /** To the instance and back, and what the worker does besides. */
  restMs: number;
}

/**
 * What the worker path adds to a line that comes alone: one line at a time through openModels with one instance, against
 * session.run of the same shape in a bare process.
 */
export async function measureLatency(context: ModelBenchContext): Promise<Measurement> {
  const { quick, repository, documents, note } = context;
  const [rounds, seconds] = quick ? [3, 0.5] : [15, 0.5];
  const lines = linesOfWidth(linesOf(await documents()), width);
  const load = { repository, provider: 'cpu', instances: 1, seconds, width, batch: 1, lines } as const;
  const bareOpening = async (): Promise<OpenLoad<Times>> => {
    const bare = await openBare(load);
    return { ...bare, run: async () => ({ ...(await bare.run()), parts: [] }) };
  };
  const found = await takeTurns<Times>([bareOpening, () => openOneByOne(load)], {
    rounds,
    onRound: (round, figures) =>
      note(
        `round ${round} of ${rounds}: bare, worker ${figures.map(({ runMs }) => `${median(runMs).toFixed(1)} ms`).join('; ')}`,
      ),
  });
  const [bare = [], worker = []] = found;
  const addedMs = median(worker.map(({ runMs }, round) => median(runMs) - median(bare[round]?.runMs ?? [])));
  const bareMs = median(bare.flatMap(({ runMs }) => runMs));
  const workerMs = median(worker.flatMap(({ runMs }) => runMs));
  const parts = medianParts(worker.flatMap((times) => times.parts));
  const configuredDelayMs = await queueDelayMs(repository);
  const into = [
    `${parts.queueMs.toFixed(1)} queue delay (${configuredDelayMs} configured)`,
    `${parts.packMs.toFixed(1)} packing`,
    `${signed(parts.inferMs - bareMs, 1)} session.run itself`,
    `${parts.postMs.toFixed(1)} CTC and spaces`,
    `${parts.restMs.toFixed(1)} pipes and the rest`,
  ];
  return {
    figures: {
      setting: {
        instances: 1,
        threads: 1,
        width,
        rounds,
        lines: worker.flatMap(({ runMs }) => runMs).length,
      },
      bareMs,
      workerMs,
      addedMs,
      configuredDelayMs,
      parts,
    },
    rows: [
      {
        what: `latency added at low load, one line of ${width} px at a time`,
        figure: `${signed(addedMs, 1)} ms to the bare ${bareMs.toFixed(1)} ms: ${into.join(', ')}`,
      },
    ],
  };
}

async function openOneByOne({
  repository,
  seconds,
  lines,
}: {
  repository: string;
  seconds: number;
  lines: readonly LineCrop[];
}): Promise<OpenLoad<Times>> {
  let event: BatchEvent | undefined;
  const models = await openModels({
    repository,
    provider: 'cpu',
    instances: { detect: 1, recognize: 1 },
    threads: 1,
    onBatch: (ended) => {
      event = ended;
    },
    log: { info() {}, warn: console.error, error: console.error },
  });
  let next = 0;
  const readOne = async (times: Times) => {
    const line = lines[next++ % lines.length];
    if (!line) return;
    const start = performance.now();
    await models.recognize(line);
    const tookMs = performance.now() - start;
    times.runMs.push(tookMs);
    if (event) times.parts.push(partsOf(event, tookMs));
  };
  await readOne({ runMs: [], parts: [] });
  return {
    async run() {
      const times: Times = { runMs: [], parts: [] };
      const until = performance.now() + seconds * 1000;
      while (performance.now() < until) await readOne(times);
      return times;
    },
    close: () => models.close(),
  };
}

function partsOf(event: BatchEvent, tookMs: number): Parts {
  const queueMs = (event.queueDelaySeconds[0] ?? 0) * 1000;
  const [packMs, inferMs, postMs] = [event.packSeconds, event.inferSeconds, event.postSeconds].map(
    (seconds) => seconds * 1000,
  );
  const inside = { queueMs, packMs: packMs ?? 0, inferMs: inferMs ?? 0, postMs: postMs ?? 0 };
  return { ...inside, restMs: tookMs - Object.values(inside).reduce((a, b) => a + b) };
}

function medianParts(parts: readonly Parts[]): Parts {
  const of = (part: keyof Parts) => median(parts.map((each) => each[part]));
  return {
    queueMs: of('queueMs'),
    packMs: of('packMs'),
    inferMs: of('inferMs'),
    postMs: of('postMs'),
    restMs: of('restMs'),
  };
}

async function queueDelayMs(repository: string): Promise<number> {
  const file = join(repository, 'ppocrv4-rec/config.pbtxt');
  return parseModelConfig(await readFile(file, 'utf8'), file).batching.maxQueueDelayUs / 1000;
}
