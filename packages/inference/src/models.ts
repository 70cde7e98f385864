import type { ServedModel } from '@glyphmill/contract/result';
import { detectionSize } from '@glyphmill/core/detection';
import type { RgbImage } from '@glyphmill/core/image';
import type { LineCrop, RectifyOptions } from '@glyphmill/core/rectify';
import type { Region } from '@glyphmill/core/regions';
import type { Reading } from '@glyphmill/core/spacing';
import { ladderWidth } from '@glyphmill/core/widths';
import type { BatchEvent, ItemEvent } from './batch-event.ts';
import { CpuGate } from './cpu-gate.ts';
import { assertLineFits, assertPageFits, lineSize } from './image-fit.ts';
import type { InstanceState } from './instance.ts';
import { readingSchema, regionsSchema } from './instance-messages.ts';
import { defaultLimits, type Limits } from './limits.ts';
import type { Logger } from './logger.ts';
import { chooseModel, detectSettings, recognizeSettings } from './model-choice.ts';
import type { ModelConfig } from './model-config.ts';
import { planModel } from './model-plan.ts';
import type { RunOptions, Served } from './scheduler.ts';
import { openServed } from './served-model.ts';
import { cpuBudget } from './threads.ts';
import { defaultVersionLimits, type VersionLimits } from './version-limits.ts';
import { type ModelProblem, VersionSet } from './version-set.ts';

export type { BatchEvent, ItemEvent, ModelProblem, Served };

export interface OpenModelsOptions {
  /** Directory of a Triton model repository. */
  repository: string;
  /** Names of the models to serve; needed only where the repository has several of one role beside the default one. */
  names?: { detect?: string; recognize?: string };
  /** What instance groups of KIND_AUTO take; `cuda` and `cpu` must not contradict the others. Default auto. */
  provider?: 'auto' | 'cpu' | 'cuda';
  /** Instances of each model (per GPU on GPUs), over the config's count and the rule in threads.ts. */
  instances?: { detect?: number; recognize?: number };
  /** Threads of each instance, over the config's. */
  threads?: number;
  limits?: Partial<Limits>;
  onBatch?: (event: BatchEvent) => void;
  onItem?: (event: ItemEvent) => void;
  /** Told once of each version that does not load, and of each mistake that keeps versions from being followed. */
  onProblem?: (problem: ModelProblem) => void;
  versions?: Partial<VersionLimits>;
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
  provider: ServedModel['provider'];
}

export interface Models {
  /** The size to which a page must be resized for `detect`. */
  pageSize(page: { width: number; height: number }): { width: number; height: number };
  /** Longer side that a page may have for `detect`, in pixels. */
  readonly maxPageSide: number;
  /** How lines are cut for `recognize`: the height they must have and the widths they may have, in pixels. */
  readonly lineSize: RectifyOptions;
  /** Regions in the pixels of the page given. Throws `ModelError`, or the signal's reason. */
  detect(page: RgbImage, options?: ItemOptions): Promise<{ regions: Region[]; served: Served }>;
  /** Throws `ModelError`, or the signal's reason. */
  recognize(line: LineCrop, options?: ItemOptions): Promise<{ reading: Reading; served: Served }>;
  info(): ModelInfo[];
  /** Of all instances that are up, those of versions that only finish their items included. */
  states(): ModelState[];
  /** Why the versions served are not those of the repository; empty where they are. */
  problems(): ModelProblem[];
  /** Items of all models that wait for an instance. */
  waiting(): number;
  /** Sends the micro-batches that are forming, and from now on lets no item wait for others to share one. */
  drain(): void;
  /** Refuses new items, finishes those under way within `deadlineMs`, and ends every instance. */
  close(deadlineMs?: number): Promise<void>;
}

/**
 * Opens the detector and the recogniser of a model repository, warm. Throws `ModelConfigError` for a mistake in the
 * repository, `ModelError` (`provider-unavailable`, `start-failed`) where a model does not come up; then nothing stays.
 * From then on the versions in the repository are followed, as `VersionSet` says.
 */
export async function openModels(options: OpenModelsOptions): Promise<Models> {
  const { repository, names = {} } = options;
  const gate = new CpuGate(cpuBudget());
  const open = async <Output>(role: 'detect' | 'recognize', parseOutput: (output: unknown) => Output) => {
    const config = await chooseModel(repository, { role, name: names[role] });
    return openVersions(options, { config, gate, parseOutput });
  };
  const [detector, recognizer] = await openBoth(
    () => open('detect', (output) => regionsSchema.parse(output)),
    () => open('recognize', (output) => readingSchema.parse(output)),
  );
  return serve(detector, recognizer);
}

function openVersions<Output>(
  {
    repository,
    onBatch = () => {},
    onItem = () => {},
    onProblem = () => {},
    log,
    ...options
  }: OpenModelsOptions,
  {
    config,
    gate,
    parseOutput,
  }: { config: ModelConfig; gate: CpuGate; parseOutput: (output: unknown) => Output },
): Promise<VersionSet<Output>> {
  const limits = { ...defaultLimits, ...options.limits };
  const asked = {
    provider: options.provider ?? 'auto',
    threads: options.threads,
    instances: options.instances?.[config.settings.role],
    budget: cpuBudget(),
  };
  let configText: string | undefined;
  return VersionSet.open<Output>({
    repository,
    config,
    limits: { ...defaultVersionLimits, ...options.versions },
    onProblem,
    log,
    async open(version, signal) {
      const plan = await planModel(version, asked);
      // Later versions are read by the config that the first were, whatever the file has come to say.
      configText ??= plan.open.configText;
      const pinned = { ...plan, open: { ...plan.open, configText } };
      return openServed({ version, plan: pinned, gate, limits, log, onBatch, onItem, parseOutput, signal });
    },
  });
}

async function openBoth<A, B>(
  first: () => Promise<VersionSet<A>>,
  second: () => Promise<VersionSet<B>>,
): Promise<[VersionSet<A>, VersionSet<B>]> {
  const [a, b] = await Promise.allSettled([first(), second()]);
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  if (a.status === 'fulfilled') await a.value.close(0);
  if (b.status === 'fulfilled') await b.value.close(0);
  throw a.status === 'rejected' ? a.reason : b.status === 'rejected' ? b.reason : new Error('unreachable');
}

/** What a worker gives runs under way when it is asked to stop. */
const defaultCloseMs = 10_000;

function serve(detectors: VersionSet<Region[]>, recognizers: VersionSet<Reading>): Models {
  const [detector] = detectors.served;
  const [recognizer] = recognizers.served;
  if (!detector || !recognizer) throw new Error('expected a version of each model');
  // They are the same for every version: a config that changes them is not followed.
  const page = detectSettings(detector);
  const line = recognizeSettings(recognizer);
  const alive = () => [...detectors.alive, ...recognizers.alive];
  return {
    pageSize: ({ width, height }) => detectionSize(width, height, page.maxSide),
    maxPageSide: page.maxSide,
    lineSize: lineSize(line),
    detect: (image, options = {}) =>
      detectors.use(options.version, async (version) => {
        assertPageFits(image, page);
        const bucket = { key: `${image.width}x${image.height}`, width: image.width };
        const { output, served } = await version.scheduler.run(image, bucket, options);
        return { regions: output, served };
      }),
    recognize: (crop, options = {}) =>
      recognizers.use(options.version, async (version) => {
        assertLineFits(crop, line);
        const width = ladderWidth(crop.width, line.widthLadder);
        const bucket = { key: String(width), width };
        const { output, served } = await version.scheduler.run(crop, bucket, options);
        return { reading: output, served };
      }),
    info: () =>
      [detectors.served, recognizers.served].flatMap((versions) =>
        versions.map(({ model, version, labels }, i) => ({
          ...model,
          default: i === 0,
          maxBatchSize: version.config.maxBatchSize,
          labels,
        })),
      ),
    states: () =>
      alive().flatMap(({ model, scheduler }) =>
        scheduler.instances.map(({ state }) => ({
          model: model.name,
          version: model.version,
          provider: model.provider,
          ...state,
        })),
      ),
    problems: () => [...detectors.problems(), ...recognizers.problems()],
    waiting: () => alive().reduce((sum, { scheduler }) => sum + scheduler.waiting, 0),
    drain() {
      detectors.drain();
      recognizers.drain();
    },
    async close(deadlineMs = defaultCloseMs) {
      await Promise.all([detectors.close(deadlineMs), recognizers.close(deadlineMs)]);
    },
  };
}
