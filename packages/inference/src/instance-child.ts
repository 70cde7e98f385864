import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from './child-environment.ts';
import {
  type DoneMessage,
  type FailedMessage,
  type ImageBytes,
  type OpenMessage,
  type ReadyMessage,
  type RefusedMessage,
  type ToParent,
  toParentSchema,
} from './instance-messages.ts';
import { ModelConfigError } from './model-config-error.ts';
import { ModelError } from './model-error.ts';
import { isStopped } from './process-state.ts';
import { typescriptArgs } from './typescript-args.ts';

/** The instance's process ended, or was ended for being silent too long, before it answered. */
export class InstanceLost extends Error {
  override readonly name = 'InstanceLost';
}

/** What the runtime last wrote to standard error, kept to explain an end. */
const stderrTailBytes = 2048;

type Answer = ReadyMessage | DoneMessage;
interface Pending {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
  looks: NodeJS.Timeout;
}

/** A process that is stopped in two looks in a row while it should answer is given up. */
const lookMs = 500;

/** The parent's side of one instance process. It answers one thing at a time and is never revived. */
export class InstanceChild {
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;
  #pending: Pending | undefined;
  #stderrTail = '';
  #end: string | undefined;
  #lastId = 0;

  /** `onEnd` is called once, when the process is gone for whatever reason. */
  constructor(onEnd: (reason: string) => void) {
    const main = fileURLToPath(new URL('./instance-process.ts', import.meta.url));
    this.#child = fork(main, [], {
      env: childEnvironment(),
      execArgv: typescriptArgs(),
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderrTail = (this.#stderrTail + text).slice(-stderrTailBytes);
    });
    this.#child.on('message', (message) => this.#receive(message));
    this.#closed = new Promise((resolve) => {
      // 'error' comes alone where the process could not be started; 'exit' once it is gone.
      this.#child.once('error', (error) => this.#finish(error.message, onEnd, resolve));
      this.#child.once('exit', (code, signal) =>
        this.#finish(signal ? `signal ${signal}` : `exit code ${code}`, onEnd, resolve),
      );
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Loads and warms the model. Throws `ModelConfigError`, `ModelError` or `InstanceLost`. */
  async open(message: OpenMessage, timeoutMs: number): Promise<ReadyMessage> {
    const answer = await this.#ask(message, timeoutMs);
    if (answer.type === 'ready') return answer;
    throw new Error(`expected ready, got ${answer.type}`);
  }

  /** Runs one micro-batch. Throws `ModelError` where the model failed, `InstanceLost` where the process did. */
  async run(items: readonly ImageBytes[], width: number, timeoutMs: number): Promise<DoneMessage> {
    const id = ++this.#lastId;
    const bytes = items.map(({ width, height, data }) => ({ width, height, data }));
    const answer = await this.#ask({ type: 'run', id, width, items: bytes }, timeoutMs);
    if (answer.type === 'done' && answer.id === id) return answer;
    throw new Error(`expected the answer to run ${id}, got ${answer.type}`);
  }

  /** Ends the process at once; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  #ask(message: object, timeoutMs: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) return reject(new InstanceLost(this.#end));
      const timer = setTimeout(() => this.#giveUp(`no answer within ${timeoutMs} ms`), timeoutMs);
      const looks = this.#lookForStop();
      this.#pending = { resolve, reject, timer, looks };
      this.#child.send(message, (error) => {
        // The process may end between the check above and the write; its exit is reported by itself.
        if (error) this.#child.kill('SIGKILL');
      });
    });
  }

  /** Nobody is told when a process is stopped, and to wait for its time to be over would idle a core for long. */
  #lookForStop(): NodeJS.Timeout {
    let wasStopped = false;
    const looks = setInterval(async () => {
      const { pid } = this.#child;
      const isNow = pid !== undefined && (await isStopped(pid));
      if (wasStopped && isNow && this.#pending?.looks === looks) this.#giveUp('it was stopped');
      wasStopped = isNow;
    }, lookMs);
    return looks;
  }

  /** A process that hangs in native code, or is stopped, hears nothing but SIGKILL. */
  #giveUp(reason: string): void {
    this.#settle()?.reject(new InstanceLost(reason));
    this.#child.kill('SIGKILL');
  }

  #receive(message: unknown): void {
    const parsed = toParentSchema.safeParse(message);
    const pending = this.#settle();
    if (!pending) return;
    if (!parsed.success) {
      pending.reject(new InstanceLost('it sent a message of an unknown form'));
      this.#child.kill('SIGKILL');
    } else if (parsed.data.type === 'ready' || parsed.data.type === 'done') pending.resolve(parsed.data);
    else pending.reject(toError(parsed.data));
  }

  #settle(): Pending | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    clearTimeout(pending?.timer);
    clearInterval(pending?.looks);
    return pending;
  }

  #finish(reason: string, onEnd: (reason: string) => void, closed: () => void): void {
    if (this.#end !== undefined) return;
    const tail = this.#stderrTail.trim();
    this.#end = tail === '' ? reason : `${reason}: ${tail}`;
    this.#settle()?.reject(new InstanceLost(this.#end));
    onEnd(this.#end);
    closed();
  }
}

function toError(message: Exclude<ToParent, Answer>): Error {
  return message.type === 'failed' ? failure(message) : refusal(message);
}

function failure({ code, message }: FailedMessage): ModelError {
  return new ModelError(code, message);
}

function refusal({ code, message, config }: RefusedMessage): Error {
  if (config) return new ModelConfigError(config);
  return new ModelError(code === 'provider-unavailable' ? code : 'start-failed', message);
}
