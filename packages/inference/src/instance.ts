import { setTimeout as sleep } from 'node:timers/promises';
import { InstanceChild, InstanceLost } from './instance-child.ts';
import type { DoneMessage, ImageBytes, OpenMessage, ReadyMessage } from './instance-messages.ts';
import type { Limits } from './limits.ts';
import type { Logger } from './logger.ts';

/** starting → idle ⇄ busy; lost or recycled → starting; too many failed starts, or closed → dead. */
export type InstanceStatus = 'starting' | 'idle' | 'busy' | 'dead';

export interface InstanceState {
  instance: number;
  status: InstanceStatus;
  pid: number | undefined;
  /** Processes started after the first. */
  restarts: number;
  rssBytes: number;
}

export interface InstanceOptions {
  /** Which of its model version's instances, from 0. */
  instance: number;
  open: OpenMessage;
  model: string;
  limits: Limits;
  log: Logger;
}

/** How far above its size at the start an instance may always grow, so that a tight bound cannot recycle for ever. */
const minGrowth = 1.5;

/** One instance, kept alive: a lost process is replaced, a swollen one recycled between two micro-batches. */
export class Instance {
  readonly #options: InstanceOptions;
  readonly #stop = new AbortController();
  #open: OpenMessage;
  #child: InstanceChild | undefined;
  #status: InstanceStatus = 'starting';
  #onChange: (instance: number, status: InstanceStatus) => void = () => {};
  #restarts = 0;
  #lossesInRow = 0;
  #rssBytes = 0;
  #memoryBoundBytes = 0;

  constructor(options: InstanceOptions) {
    this.#options = options;
    this.#open = options.open;
  }

  get number(): number {
    return this.#options.instance;
  }

  get status(): InstanceStatus {
    return this.#status;
  }

  /** Processes started after the first. */
  get restarts(): number {
    return this.#restarts;
  }

  get state(): InstanceState {
    const { instance } = this.#options;
    const status = this.#status;
    return { instance, status, pid: this.#child?.pid, restarts: this.#restarts, rssBytes: this.#rssBytes };
  }

  /** Told of every change of status but those that `run` makes itself (idle → busy → idle). */
  watch(onChange: (instance: number, status: InstanceStatus) => void): void {
    this.#onChange = onChange;
  }

  /** The first start; a failure here is final, since it is the model's or the machine's, not chance's. */
  async open(): Promise<ReadyMessage> {
    try {
      const ready = await this.#start();
      this.#status = 'idle';
      return ready;
    } catch (error) {
      this.#status = 'dead';
      throw error;
    }
  }

  /**
   * Runs one micro-batch on an idle instance; `width` is what its lines are padded to. Afterwards the instance is
   * idle, or starting again. Throws `ModelError` where the model failed, `InstanceLost` where the process did.
   */
  async run(items: readonly ImageBytes[], width: number): Promise<DoneMessage> {
    if (this.#status !== 'idle' || !this.#child) throw new InstanceLost(`the instance is ${this.#status}`);
    const child = this.#child;
    this.#status = 'busy';
    try {
      const done = await child.run(items, width, this.#options.limits.runTimeoutMs);
      this.#rssBytes = done.rssBytes;
      this.#lossesInRow = 0;
      return done;
    } catch (error) {
      // A hung process is on its way out: its end moves the status on.
      if (error instanceof InstanceLost) await child.kill();
      throw error;
    } finally {
      if (this.#isBusy()) this.#rest();
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#change('dead');
    await this.#child?.kill();
  }

  #isBusy(): boolean {
    return this.#status === 'busy';
  }

  #rest(): void {
    if (this.#rssBytes <= this.#memoryBoundBytes) {
      this.#status = 'idle';
      return;
    }
    const { instance, model, log } = this.#options;
    log.info({ model, instance, bytes: this.#rssBytes }, 'instance recycled: its memory passed the bound');
    this.#change('starting');
    void this.#replace(0);
  }

  async #start(): Promise<ReadyMessage> {
    const { limits } = this.#options;
    this.#stop.signal.throwIfAborted();
    const child = new InstanceChild((reason) => this.#lost(child, reason));
    this.#child = child;
    try {
      const ready = await child.open(this.#open, limits.startTimeoutMs);
      // What `auto` chose stays: a restart that fell back to another provider would do so unseen.
      this.#open = { ...this.#open, provider: ready.provider };
      this.#rssBytes = ready.rssBytes;
      this.#memoryBoundBytes = Math.max(limits.instanceMemoryBytes, ready.rssBytes * minGrowth);
      return ready;
    } catch (error) {
      await child.kill();
      throw error;
    }
  }

  /** Ends of a process that is starting are `#start`'s to report. */
  #lost(child: InstanceChild, reason: string): void {
    if (child !== this.#child || (this.#status !== 'idle' && this.#status !== 'busy')) return;
    const { instance, model, limits, log } = this.#options;
    log.warn({ model, instance, pid: child.pid, reason }, 'instance lost');
    const delayMs = this.#lossesInRow === 0 ? 0 : backoffMs(this.#lossesInRow, limits);
    this.#lossesInRow++;
    this.#change('starting');
    void this.#replace(delayMs);
  }

  /** Never rejects: it ends idle or dead. */
  async #replace(firstDelayMs: number): Promise<void> {
    const { instance, model, limits, log } = this.#options;
    await this.#child?.kill();
    for (let failed = 0; failed < limits.maxFailedStarts; failed++) {
      const delayMs = failed === 0 ? firstDelayMs : backoffMs(failed, limits);
      try {
        await sleep(delayMs, undefined, { signal: this.#stop.signal, ref: false });
        this.#restarts++;
        const { provider } = await this.#start();
        log.info({ model, instance, pid: this.#child?.pid, provider }, 'instance started again');
        this.#change('idle');
        return;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        log.warn({ model, instance, attempt: failed + 1, err: error }, 'instance did not start');
      }
    }
    log.error({ model, instance }, 'instance is dead: it failed to start too often');
    this.#change('dead');
  }

  #change(status: InstanceStatus): void {
    if (this.#status === 'dead') return;
    this.#status = status;
    this.#onChange(this.#options.instance, status);
  }
}

function backoffMs(failures: number, { restartDelayMs, maxRestartDelayMs }: Limits): number {
  return Math.min(maxRestartDelayMs, restartDelayMs * 2 ** (failures - 1));
}
