import type { ServedModel } from '@glyphmill/contract/result';
import { type Batch, Batcher, type BatcherOptions, type Effect, type Item } from '@glyphmill/core/batcher';
import { type BatchEvent, type ItemEvent, type Ride, ridesOf, toBatchEvent } from './batch-event.ts';
import type { CpuGate } from './cpu-gate.ts';
import type { Instance } from './instance.ts';
import { InstanceLost } from './instance-child.ts';
import type { DoneMessage, ImageBytes } from './instance-messages.ts';
import { regroup } from './isolation.ts';
import type { Limits } from './limits.ts';
import { ModelError } from './model-error.ts';
import { doomed, dropped, noInstance, overloaded } from './scheduler-errors.ts';

/** The model that served an item, and the micro-batch it was served in. */
export interface Served extends ServedModel {
  microBatch: Ride;
}

export interface RunOptions {
  /** Aborting takes the item out before the next micro-batch; a run under way is not stopped, its output is dropped. */
  signal?: AbortSignal;
  /** 1 (first) to the config's priority_levels. */
  priority?: number;
  timeoutUs?: number;
  /** Whose item it is, for those who follow micro-batches. */
  owner?: string;
}

export interface SchedulerOptions<Output> {
  model: ServedModel;
  batching: BatcherOptions;
  instances: readonly Instance[];
  /** Threads of one run, and the gate it passes; none on a GPU. */
  gate: { gate: CpuGate; threads: number } | undefined;
  limits: Limits;
  /** Throws where an instance's output has not the form it should have. */
  parseOutput: (output: unknown) => Output;
  onBatch: (event: BatchEvent) => void;
  onItem: (event: ItemEvent) => void;
}

interface Job<Output> {
  id: string;
  image: ImageBytes;
  /** Pixels that a line is padded to. */
  width: number;
  key: string;
  owner: string | undefined;
  /** Instances that were lost while they ran it. */
  losses: number;
  resolve(value: { output: Output; served: Served }): void;
  reject(error: unknown): void;
}

/** Runs the items of one model version in micro-batches: the batcher decides, this acts on it in real time. */
export class Scheduler<Output> {
  readonly #options: SchedulerOptions<Output>;
  readonly #batcher: Batcher<Job<Output>>;
  readonly #jobs = new Map<string, Job<Output>>();
  #timer: NodeJS.Timeout | undefined;
  #closing = false;
  #onEmpty: (() => void) | undefined;
  #lastJob = 0;
  #lastBatch = 0;
  #lastGroup = 0;

  constructor(options: SchedulerOptions<Output>) {
    this.#options = options;
    this.#batcher = new Batcher(options.batching);
    for (const instance of options.instances)
      instance.watch((number, status) => {
        this.#act(this.#batcher.setInstance(number, status === 'idle' ? 'idle' : 'gone', nowUs()));
        if (status === 'dead') this.#failWithoutInstances();
      });
  }

  get instances(): readonly Instance[] {
    return this.#options.instances;
  }

  get waiting(): number {
    return this.#batcher.waiting;
  }

  /**
   * Items of one `key` may share a micro-batch; lines of it are padded to `width`. Throws `ModelError`, or the
   * signal's reason.
   */
  async run(
    image: ImageBytes,
    bucket: { key: string; width: number },
    options: RunOptions = {},
  ): Promise<{ output: Output; served: Served }> {
    const { onItem, model } = this.#options;
    let outcome: ItemEvent['outcome'] = 'done';
    try {
      return await this.#run(image, bucket, options);
    } catch (error) {
      outcome = error instanceof ModelError ? error.code : 'canceled';
      throw error;
    } finally {
      onItem({ model: model.name, version: model.version, outcome });
    }
  }

  /** From now on nothing waits for others to share its micro-batch. */
  drain(): void {
    this.#act(this.#batcher.drain(nowUs()));
  }

  /** Refuses new items, finishes those it has within `deadlineMs`, fails the others, and ends the instances. */
  async close(deadlineMs: number): Promise<void> {
    this.#closing = true;
    this.drain();
    if (this.#jobs.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
        timer = setTimeout(resolve, deadlineMs);
      });
      clearTimeout(timer);
    }
    this.#failAll(
      () => new ModelError('closed', `${this.#options.model.name}: closed before the item was run`),
    );
    await Promise.all(this.#options.instances.map((instance) => instance.close()));
    clearTimeout(this.#timer);
  }

  async #run(
    image: ImageBytes,
    bucket: { key: string; width: number },
    { signal, priority, timeoutUs, owner }: RunOptions,
  ): Promise<{ output: Output; served: Served }> {
    signal?.throwIfAborted();
    this.#admit();
    const id = String(++this.#lastJob);
    let onAbort: (() => void) | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const job = { id, image, ...bucket, owner, losses: 0, resolve, reject };
        this.#jobs.set(id, job);
        onAbort = () => this.#abort(job, signal?.reason);
        signal?.addEventListener('abort', onAbort, { once: true });
        const rank = {
          ...(priority === undefined ? {} : { priority }),
          ...(timeoutUs === undefined ? {} : { timeoutUs }),
        };
        this.#act(this.#batcher.enqueue([{ id, value: job, key: job.key, weight: 1, ...rank }], nowUs()));
      });
    } finally {
      if (onAbort) signal?.removeEventListener('abort', onAbort);
      this.#jobs.delete(id);
      if (this.#jobs.size === 0) this.#onEmpty?.();
    }
  }

  #admit(): void {
    const { model, instances, limits } = this.#options;
    if (this.#closing) throw new ModelError('closed', `${model.name}: it is closed to new items`);
    if (instances.every(({ status }) => status === 'dead')) throw noInstance(model.name);
    if (this.#batcher.waiting >= limits.maxWaitingItems) throw overloaded(model.name, limits.maxWaitingItems);
  }

  #abort(job: Job<Output>, reason: unknown): void {
    job.reject(reason);
    this.#act(this.#batcher.cancel([job.id], nowUs()));
  }

  #act(effects: readonly Effect<Job<Output>>[]): void {
    for (const effect of effects) {
      if (effect.type === 'start') void this.#start(effect.batch);
      else if (effect.why !== 'canceled')
        effect.item.value.reject(dropped(this.#options.model.name, effect.why));
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { wakeAtUs } = this.#batcher;
    if (wakeAtUs === undefined) return;
    const delayMs = Math.min(maxTimerMs, Math.max(0, Math.ceil((wakeAtUs - nowUs()) / 1000)));
    this.#timer = setTimeout(() => this.#wake(), delayMs);
  }

  /** A timer may fire up to a millisecond early; waking the batcher before its time would let deadlines pass early. */
  #wake(): void {
    const now = nowUs();
    const { wakeAtUs } = this.#batcher;
    this.#act(wakeAtUs !== undefined && now >= wakeAtUs ? this.#batcher.wake(now) : []);
  }

  /** Never rejects: what fails is told to the items. */
  async #start(batch: Batch<Job<Output>>): Promise<void> {
    const { instances, gate, model, parseOutput, batching, onBatch } = this.#options;
    const instance = instances[batch.instance];
    if (!instance) throw new Error(`expected instance ${batch.instance} to exist`);
    const { restarts } = instance;
    const queuedAtUs = nowUs();
    const leave = await gate?.gate.enter(gate.threads);
    const startUs = nowUs();
    const isStill = () => instance.status === 'idle' && instance.restarts === restarts;
    if (!isStill()) {
      // It was lost while the run waited for a core, which the batcher was told; the items have done nothing.
      leave?.();
      this.#act(this.#batcher.requeue(batch.items, batch.enqueuedUs, nowUs()));
      return;
    }
    const id = `${model.name}-${model.version}-${++this.#lastBatch}`;
    const report = (outcome: BatchEvent['outcome'], done?: DoneMessage) => {
      const { maxBatchSize } = batching;
      const times = { startedUs: queuedAtUs, runUs: startUs, endUs: nowUs() };
      const event = toBatchEvent({ id, model, batch, outcome, done, maxBatchSize, ...times });
      onBatch(event);
      return event;
    };
    const images = batch.items.map(({ value }) => value.image);
    try {
      const done = await instance.run(images, batch.items[0]?.value.width ?? 1);
      const outputs = this.#parse(done, batch, parseOutput);
      const rides = ridesOf(report('done', done));
      for (const [i, { value }] of batch.items.entries()) {
        const [output, microBatch] = [outputs[i], rides[i]];
        if (output !== undefined && microBatch !== undefined)
          value.resolve({ output, served: { ...model, microBatch } });
      }
    } catch (error) {
      const outcome = error instanceof InstanceLost ? 'instance-lost' : 'model-error';
      report(outcome);
      this.#again(batch, outcome, error);
    } finally {
      leave?.();
      if (isStill()) this.#act(this.#batcher.complete(batch.instance, nowUs()));
    }
  }

  #parse(done: DoneMessage, batch: Batch<Job<Output>>, parse: (output: unknown) => Output): Output[] {
    const { name } = this.#options.model;
    if (done.outputs.length !== batch.items.length)
      throw new ModelError(
        'bad-output',
        `${name}: expected ${batch.items.length} outputs, got ${done.outputs.length}`,
      );
    return done.outputs.map(parse);
  }

  #again(batch: Batch<Job<Output>>, failure: 'model-error' | 'instance-lost', cause: unknown): void {
    const ages = new Map(batch.items.map(({ id }, i) => [id, batch.enqueuedUs[i] ?? batch.oldestUs]));
    const alive = batch.items.filter(({ id }) => this.#jobs.has(id));
    if (failure === 'instance-lost') for (const { value } of alive) value.losses++;
    const { groups, doomed: failed } = regroup(
      alive.map(({ value }) => value),
      failure,
      this.#options.limits.maxItemLosses,
    );
    for (const job of failed)
      job.reject(doomed(this.#options.model.name, { failure, cause, losses: job.losses }));
    for (const group of groups) {
      // A key of its own keeps a suspect group from taking others down with it.
      const key = `${group[0]?.key}#${++this.#lastGroup}`;
      const ids = new Set(group.map(({ id }) => id));
      const items = alive
        .filter(({ id }) => ids.has(id))
        .map((item): Item<Job<Output>> => ({ ...item, key }));
      const enqueuedUs = items.map(({ id }) => ages.get(id) ?? batch.oldestUs);
      this.#act(this.#batcher.requeue(items, enqueuedUs, nowUs()));
    }
  }

  #failWithoutInstances(): void {
    const isOver = this.#options.instances.every(({ status }) => status === 'dead');
    if (isOver && !this.#closing) this.#failAll(() => noInstance(this.#options.model.name));
  }

  #failAll(error: () => ModelError): void {
    for (const job of this.#jobs.values()) job.reject(error());
    this.#act(this.#batcher.cancel([...this.#jobs.keys()], nowUs()));
  }
}

/** Node's timers hold no more. */
const maxTimerMs = 2 ** 31 - 1;

/** The monotonic clock. */
function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
