import { join } from 'node:path';
import type { Logger } from './logger.ts';
import { pickVersion } from './model-choice.ts';
import type { ModelConfig, VersionPolicy } from './model-config.ts';
import { ModelError } from './model-error.ts';
import { type ModelVersion, readVersions } from './repository.ts';
import type { ServedVersion } from './served-model.ts';
import type { VersionLimits } from './version-limits.ts';
import { keptVersions, type Look, namedVersions, nextVersion, readPolicy } from './version-policy.ts';
import { scanVersions, type VersionStamps } from './version-scan.ts';

/** Why the versions served are not those of the repository. */
export interface ModelProblem {
  model: string;
  /** The version that did not load; null: nothing is loaded or closed until the model's directory is mended. */
  version: string | null;
  message: string;
}

export interface VersionSetOptions<Output> {
  repository: string;
  config: ModelConfig;
  /** Opens a version, warm, or throws with nothing left; so it does once the signal is aborted. */
  open: (version: ModelVersion, signal: AbortSignal) => Promise<ServedVersion<Output>>;
  limits: VersionLimits;
  /** Told once of each problem. */
  onProblem: (problem: ModelProblem) => void;
  log: Logger;
}

interface Entry<Output> {
  served: ServedVersion<Output>;
  itemsUnderWay: number;
  onIdle: (() => void) | undefined;
}

interface Failure {
  stamp: string | undefined;
  error: unknown;
  isTold: boolean;
}

/**
 * The versions of one model that its version policy names, as the repository changes. A new version is loaded beside
 * the old and takes the items from then on; an old one is closed when its last item is done. One step at a time, so
 * at most one version is up beyond those that the policy names.
 */
export class VersionSet<Output> {
  readonly #options: VersionSetOptions<Output>;
  readonly #directory: string;
  readonly #configPath: string;
  readonly #stop = new AbortController();
  readonly #draining = new Set<Entry<Output>>();
  readonly #failures = new Map<number, Failure>();
  #policy: VersionPolicy;
  #before: VersionStamps = new Map();
  #now: VersionStamps = new Map();
  /** Newest first. */
  #entries: readonly Entry<Output>[] = [];
  #fault: string | undefined;
  #looking: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: VersionSetOptions<Output>) {
    this.#options = options;
    this.#directory = join(options.repository, options.config.name);
    this.#configPath = join(this.#directory, 'config.pbtxt');
    this.#policy = options.config.versionPolicy;
  }

  /** Throws where no version comes up, or not every one that the policy names by number; then nothing stays. */
  static async open<Output>(options: VersionSetOptions<Output>): Promise<VersionSet<Output>> {
    const set = new VersionSet(options);
    try {
      await set.#openFirst();
    } catch (error) {
      await set.close(0);
      throw error;
    }
    set.#schedule();
    return set;
  }

  /** Those that take items, newest first. */
  get served(): ServedVersion<Output>[] {
    return this.#entries.map(({ served }) => served);
  }

  /** Those with processes: also the ones that only finish the items they have. */
  get alive(): ServedVersion<Output>[] {
    return [...this.#entries, ...this.#draining].map(({ served }) => served);
  }

  /** A version that failed to load is a problem while the policy names it and its files are as they were then. */
  problems(): ModelProblem[] {
    const named = namedVersions([...this.#now.keys()], this.#policy);
    const failed = [...this.#failures].filter(([version]) => named.includes(version));
    return [
      ...(this.#fault === undefined ? [] : [this.#problem(null, this.#fault)]),
      ...failed.map(([version, { error }]) => this.#problem(version, error)),
    ];
  }

  /**
   * Gives an item to the version it names, or to the newest. `run` is called once, and again only where its version
   * was closed with the item unread. Throws what `run` does, and `no-instance` for a version that is not served.
   */
  async use<Result>(
    version: string | undefined,
    run: (served: ServedVersion<Output>) => Promise<Result>,
  ): Promise<Result> {
    for (;;) {
      const served = pickVersion(this.served, version);
      const entry = this.#entries.find((entry) => entry.served === served);
      if (!entry) throw new Error('expected the version to be one of those served');
      entry.itemsUnderWay++;
      try {
        return await run(served);
      } catch (error) {
        const isUnread = error instanceof ModelError && error.code === 'closed' && version === undefined;
        if (!isUnread || this.#stop.signal.aborted || this.#entries.includes(entry)) throw error;
      } finally {
        if (--entry.itemsUnderWay === 0) entry.onIdle?.();
      }
    }
  }

  /** From now on no item waits for others to share its micro-batch: soon this is closed. */
  drain(): void {
    for (const { scheduler } of this.alive) scheduler.drain();
  }

  /** Refuses new items, finishes those under way within `deadlineMs`, and ends what is up or coming up. */
  async close(deadlineMs: number): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await Promise.all([this.#looking, ...this.alive.map(({ scheduler }) => scheduler.close(deadlineMs))]);
  }

  /** Nothing is served yet, so the files are taken as they are: those half written fail, and count once they change. */
  async #openFirst(): Promise<void> {
    const { repository, config } = this.#options;
    this.#now = await scanVersions(this.#directory, config.modelFilename);
    this.#before = this.#now;
    await this.#roll();
    const { kind } = this.#policy;
    const [failure] = this.#failures.values();
    if (failure && (kind === 'specific' || this.#entries.length === 0)) throw failure.error;
    // It says which file is missing, where one is.
    if (kind === 'specific' || this.#entries.length === 0) await readVersions(repository, config);
    if (this.#entries.length === 0)
      throw new ModelError('start-failed', `${config.name}: no version came up`);
    this.#tell();
  }

  #schedule(): void {
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().finally(() => this.#schedule());
    }, this.#options.limits.lookMs);
    this.#timer.unref();
  }

  /** Never rejects: what is wrong with the directory is a problem, and the versions served go on. */
  async #look(): Promise<void> {
    const { config, log, onProblem } = this.#options;
    try {
      const policy = await readPolicy(this.#configPath, config);
      const now = await scanVersions(this.#directory, config.modelFilename);
      this.#policy = policy;
      this.#before = this.#now;
      this.#now = now;
      for (const [version, { stamp }] of this.#failures)
        if (now.get(version) !== stamp) this.#failures.delete(version);
      this.#fault = undefined;
      await this.#retire();
      await this.#roll();
    } catch (error) {
      const message = messageOf(error);
      if (message === this.#fault || this.#stop.signal.aborted) return;
      this.#fault = message;
      log.error(
        { model: config.name, err: error },
        'model directory not followed: its versions stay as they are',
      );
      onProblem(this.#problem(null, message));
    }
  }

  async #roll(): Promise<void> {
    for (let next = nextVersion(this.#state()); next !== undefined; next = nextVersion(this.#state())) {
      await this.#load(next);
      if (this.#stop.signal.aborted) return;
      if (this.#entries.length > 0) this.#tell();
      await this.#retire();
    }
  }

  /** Ends with the version served, or in the failures. */
  async #load(version: number): Promise<void> {
    const { repository, config, open } = this.#options;
    const { signal } = this.#stop;
    try {
      const only = { ...config, versionPolicy: { kind: 'specific' as const, versions: [version] } };
      const [found] = await readVersions(repository, only);
      if (!found) throw new Error(`expected version ${version} to be read`);
      const served = await open({ ...found, config }, signal);
      const entry = { served, itemsUnderWay: 0, onIdle: undefined };
      this.#entries = [...this.#entries, entry].sort((a, b) => numberOf(b) - numberOf(a));
      if (signal.aborted) await served.scheduler.close(0);
    } catch (error) {
      this.#failures.set(version, { stamp: this.#now.get(version), error, isTold: false });
    }
  }

  /** Takes the versions that go out of the choice at once, and closes them when their items are done. */
  async #retire(): Promise<void> {
    if (this.#entries.length === 0) return;
    const kept = keptVersions(this.#state());
    const going = this.#entries.filter((entry) => !kept.includes(numberOf(entry)));
    this.#entries = this.#entries.filter((entry) => !going.includes(entry));
    for (const entry of going) this.#draining.add(entry);
    await Promise.all(going.map((entry) => this.#drain(entry)));
  }

  async #drain(entry: Entry<Output>): Promise<void> {
    const { signal } = this.#stop;
    if (entry.itemsUnderWay > 0 && !signal.aborted)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(finish, this.#options.limits.drainMs);
        function finish() {
          clearTimeout(timer);
          signal.removeEventListener('abort', finish);
          resolve();
        }
        entry.onIdle = finish;
        signal.addEventListener('abort', finish, { once: true });
      });
    // What is draining then, `close` ends in its own time.
    if (signal.aborted) return;
    await entry.served.scheduler.close(0);
    this.#draining.delete(entry);
    const { name, version } = entry.served.model;
    this.#options.log.info({ model: name, version, itemsLeft: entry.itemsUnderWay }, 'model version closed');
  }

  #state(): Look {
    return {
      policy: this.#policy,
      before: this.#before,
      now: this.#now,
      served: this.#entries.map(numberOf),
      failed: new Set(this.#failures.keys()),
    };
  }

  #tell(): void {
    const { config, log, onProblem } = this.#options;
    for (const [version, failure] of this.#failures) {
      if (failure.isTold) continue;
      failure.isTold = true;
      const serving = this.#entries.map(numberOf);
      log.error({ model: config.name, version, serving, err: failure.error }, 'model version did not load');
      onProblem(this.#problem(version, failure.error));
    }
  }

  #problem(version: number | null, cause: unknown): ModelProblem {
    const message = typeof cause === 'string' ? cause : messageOf(cause);
    return { model: this.#options.config.name, version: version === null ? null : String(version), message };
  }
}

function numberOf<Output>({ served }: Entry<Output>): number {
  return served.version.version;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
