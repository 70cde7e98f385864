import type { ServedModel } from '@glyphmill/contract/result';
import { detectionSize } from '@glyphmill/core/detection';
import type { RgbImage } from '@glyphmill/core/image';
import type { LineCrop } from '@glyphmill/core/rectify';
import type { Region } from '@glyphmill/core/regions';
import type { Reading } from '@glyphmill/core/spacing';
import { ladderWidth } from '@glyphmill/core/widths';
import type { BatchEvent } from './batch-event.ts';
import { CpuGate } from './cpu-gate.ts';
import { assertLineFits, assertPageFits } from './image-fit.ts';
import type { InstanceState } from './instance.ts';
import { readingSchema, regionsSchema } from './instance-messages.ts';
import { defaultLimits, type Limits } from './limits.ts';
import type { Logger } from './logger.ts';
import { detectSettings, pickModel, pickVersion, recognizeSettings } from './model-choice.ts';
import { planModel } from './model-plan.ts';
import { readRepository, readVersions } from './repository.ts';
import type { RunOptions, Served } from './scheduler.ts';
import { openServed, type ServedVersion } from './served-model.ts';
import { cpuBudget } from './threads.ts';

export type { BatchEvent, Served };

export interface OpenModelsOptions {
  /** Directory of a Triton model repository. */
  repository: string;
  /** Names of the models to serve; needed only where the repository has several of one role. */
  names?: { detect?: string; recognize?: string };
  /** What instance groups of KIND_AUTO take; `cuda` and `cpu` must not contradict the others. Default auto. */
  provider?: 'auto' | 'cpu' | 'cuda';
  /** Instances of each model (per GPU on GPUs), over the config's count and the rule in threads.ts. */
  instances?: { detect?: number; recognize?: number };
  /** Threads of each instance, over the config's. */
  threads?: number;
  limits?: Partial<Limits>;
  onBatch?: (event: BatchEvent) => void;
  log: Logger;
}

export interface ItemOptions extends RunOptions {
  /** A version that the version policy serves; default: the newest. */
  version?: string;
}

export interface ModelInfo extends ServedModel {
  /** Whether items that name no version go here. */
  default: boolean;
  maxBatchSize: number;
  /** Entries of the dictionary, 0 for a detector. */
  labels: number;
}

export interface ModelState extends InstanceState {
  model: string;
  version: string;
}

export interface Models {
  /** The size to which a page must be resized for `detect`. */
  pageSize(page: { width: number; height: number }): { width: number; height: number };
  /** Longer side that a page may have for `detect`, in pixels. */
  readonly maxPageSide: number;
  /** The height that lines must have for `recognize`, and the width they may have at most, in pixels. */
  readonly lineSize: { height: number; maxWidth: number };
  /** Regions in the pixels of the page given. Throws `ModelError`, or the signal's reason. */
  detect(page: RgbImage, options?: ItemOptions): Promise<{ regions: Region[]; served: Served }>;
  /** Throws `ModelError`, or the signal's reason. */
  recognize(line: LineCrop, options?: ItemOptions): Promise<{ reading: Reading; served: Served }>;
  info(): ModelInfo[];
  states(): ModelState[];
  /** Items of all models that wait for an instance. */
  waiting(): number;
  /** Refuses new items, finishes those under way within `deadlineMs`, and ends every instance. */
  close(deadlineMs?: number): Promise<void>;
}

/**
 * Opens the detector and the recogniser of a model repository, warm. Throws `ModelConfigError` for a mistake in the
 * repository, `ModelError` (`provider-unavailable`, `start-failed`) where a model does not come up; then nothing stays.
 */
export async function openModels(options: OpenModelsOptions): Promise<Models> {
  const { repository, names = {}, instances = {}, onBatch = () => {}, log } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const configs = [...(await readRepository(repository)).values()];
  const budget = cpuBudget();
  const gate = new CpuGate(budget);
  const open = async <Output>(role: 'detect' | 'recognize', parseOutput: (output: unknown) => Output) => {
    const config = pickModel(configs, { role, name: names[role], repository });
    const asked = {
      provider: options.provider ?? 'auto',
      threads: options.threads,
      instances: instances[role],
      budget,
    };
    const found = await readVersions(repository, config);
    return openAll(
      found.map((version) => async () => {
        const plan = await planModel(version, asked);
        return openServed({ version, plan, gate, limits, log, onBatch, parseOutput });
      }),
    );
  };
  const [detectors, recognizers] = await openBoth(
    open('detect', (output) => regionsSchema.parse(output)),
    open('recognize', (output) => readingSchema.parse(output)),
  );
  return serve(detectors, recognizers);
}

type Opened<Output> = ServedVersion<Output>[];

/** One version after the other: a model's size in memory is its own, but warming up two at once helps nobody. */
async function openAll<Output>(
  opens: readonly (() => Promise<ServedVersion<Output>>)[],
): Promise<Opened<Output>> {
  const opened: Opened<Output> = [];
  try {
    for (const open of opens) opened.push(await open());
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
  return opened;
}

async function openBoth<A, B>(
  first: Promise<Opened<A>>,
  second: Promise<Opened<B>>,
): Promise<[Opened<A>, Opened<B>]> {
  const [a, b] = await Promise.allSettled([first, second]);
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  if (a.status === 'fulfilled') await closeAll(a.value);
  if (b.status === 'fulfilled') await closeAll(b.value);
  throw a.status === 'rejected' ? a.reason : b.status === 'rejected' ? b.reason : new Error('unreachable');
}

async function closeAll(versions: readonly ServedVersion<unknown>[], deadlineMs = 0): Promise<void> {
  await Promise.all(versions.map(({ scheduler }) => scheduler.close(deadlineMs)));
}

/** What a worker gives runs under way when it is asked to stop. */
const defaultCloseMs = 10_000;

function serve(detectors: Opened<Region[]>, recognizers: Opened<Reading>): Models {
  const all = [...detectors, ...recognizers];
  const [detector] = detectors;
  const [recognizer] = recognizers;
  if (!detector || !recognizer) throw new Error('expected a version of each model');
  const page = detectSettings(detector);
  const line = recognizeSettings(recognizer);
  return {
    pageSize: ({ width, height }) => detectionSize(width, height, page.maxSide),
    maxPageSide: page.maxSide,
    lineSize: { height: line.height, maxWidth: line.widthLadder.at(-1) ?? 0 },
    async detect(image, options = {}) {
      const served = pickVersion(detectors, options.version);
      assertPageFits(image, detectSettings(served));
      const bucket = { key: `${image.width}x${image.height}`, width: image.width };
      const { output, served: by } = await served.scheduler.run(image, bucket, options);
      return { regions: output, served: by };
    },
    async recognize(crop, options = {}) {
      const served = pickVersion(recognizers, options.version);
      const settings = recognizeSettings(served);
      assertLineFits(crop, settings);
      const width = ladderWidth(crop.width, settings.widthLadder);
      const { output, served: by } = await served.scheduler.run(crop, { key: String(width), width }, options);
      return { reading: output, served: by };
    },
    info: () =>
      all.map((served) => ({
        ...served.model,
        default: served === detector || served === recognizer,
        maxBatchSize: served.version.config.maxBatchSize,
        labels: served.labels,
      })),
    states: () =>
      all.flatMap(({ model, scheduler }) =>
        scheduler.instances.map(({ state }) => ({ model: model.name, version: model.version, ...state })),
      ),
    waiting: () => all.reduce((sum, { scheduler }) => sum + scheduler.waiting, 0),
    close: (deadlineMs = defaultCloseMs) => closeAll(all, deadlineMs),
  };
}
