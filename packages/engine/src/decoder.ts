import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type FailureCode, JobFailure } from '@glyphmill/contract/failure';
import { childEnvironment } from '@glyphmill/inference/child-environment';
import { typescriptArgs } from '@glyphmill/inference/typescript-args';
import type { z } from 'zod';
import { startDeadline } from './deadline.ts';
import { answerSchemas, type DecodeRequest, refusalSchema } from './decode-messages.ts';

/**
 * One decoding child: a process of its own, so that hostile bytes can be cut off and take nothing with them.
 * Every call throws a JobFailure of phase `decode`; after any but a refusal of the document the child is gone.
 */
export interface Decoder {
  open(document: Request<'open'>, signal: AbortSignal): Promise<Answered<'open'>>;
  page(page: Request<'page'>, signal: AbortSignal): Promise<Answered<'page'>>;
  crop(lines: Request<'crop'>, signal: AbortSignal): Promise<Answered<'crop'>>;
  whole(size: Request<'whole'>, signal: AbortSignal): Promise<Answered<'whole'>>;
  /** Makes the child forget the document. */
  reset(signal: AbortSignal): Promise<Answered<'close'>>;
  readonly alive: boolean;
  kill(): void;
}

type Request<T> = Omit<Extract<DecodeRequest, { type: T }>, 'type'>;
type Answered<T extends keyof typeof answerSchemas> = z.output<(typeof answerSchemas)[T]>;

export interface DecoderOptions {
  /** Longest time for one answer, that is for decoding one page. */
  deadlineMs: number;
  /** Most memory the child may allocate (RLIMIT_DATA). */
  memoryBytes: number;
}

/** What is kept of the child's last words, to tell running out of memory from crashing. */
const stderrBytes = 4000;
const childFile = fileURLToPath(new URL('decode-process.ts', import.meta.url));

export function startDecoder(options: DecoderOptions): Decoder {
  const child = spawnLimited(options.memoryBytes);
  let lastWords = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-stderrBytes);
  });
  let gone: JobFailure | undefined;
  const onGone = new Set<(failure: JobFailure) => void>();
  const leave = (failure: JobFailure) => {
    gone ??= failure;
    for (const tell of onGone) tell(gone);
    child.kill('SIGKILL');
  };
  child.on('error', (error) => leave(failed('decode-crashed', `could not be started: ${error.message}`)));
  // 'close' and not 'exit': the last words may still be on their way.
  child.on('close', (code, signal) => leave(exitFailure({ code, signal, lastWords })));

  function exchange(request: DecodeRequest, signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const stopDeadline = startDeadline(options.deadlineMs, () => leave(late(options.deadlineMs)));
      // Pixels are being made for nobody: the child starts anew rather than finish.
      const abort = () => leave(failed('decode-crashed', 'was stopped'));
      const settle = () => {
        stopDeadline();
        signal.removeEventListener('abort', abort);
        onGone.delete(fail);
        child.off('message', answer);
      };
      const fail = (failure: JobFailure) => {
        settle();
        reject(signal.aborted ? signal.reason : failure);
      };
      const answer = (received: unknown) => {
        settle();
        resolve(received);
      };
      onGone.add(fail);
      child.once('message', answer);
      signal.addEventListener('abort', abort, { once: true });
      child.send(request, (error) => {
        if (error) leave(failed('decode-crashed', `does not take requests: ${error.message}`));
      });
    });
  }

  async function ask<S extends z.ZodType>(
    request: DecodeRequest,
    { schema, signal }: { schema: S; signal: AbortSignal },
  ): Promise<z.output<S>> {
    signal.throwIfAborted();
    if (gone !== undefined) throw gone;
    const message = await exchange(request, signal);
    const refusal = refusalSchema.safeParse(message);
    if (!refusal.success) {
      const answer = schema.safeParse(message);
      if (answer.success) return answer.data;
      const broken = failed('decode-crashed', 'answered in a form it should not have');
      leave(broken);
      throw broken;
    }
    const { refused: code, message: reason } = refusal.data;
    throw new JobFailure({ code, message: reason, retryable: false, phase: 'decode' });
  }

  return {
    open: (document, signal) => ask({ type: 'open', ...document }, { schema: answerSchemas.open, signal }),
    page: (page, signal) => ask({ type: 'page', ...page }, { schema: answerSchemas.page, signal }),
    crop: (lines, signal) => ask({ type: 'crop', ...lines }, { schema: answerSchemas.crop, signal }),
    whole: (size, signal) => ask({ type: 'whole', ...size }, { schema: answerSchemas.whole, signal }),
    reset: (signal) => ask({ type: 'close' }, { schema: answerSchemas.close, signal }),
    get alive() {
      return gone === undefined;
    },
    kill: () => leave(failed('decode-crashed', 'was stopped')),
  };
}

/** Linux: `prlimit` (util-linux) sets the limits before node starts. Elsewhere only the deadline holds. */
function spawnLimited(memoryBytes: number): ChildProcess {
  const node = [process.execPath, ...typescriptArgs(), childFile];
  const limited = ['prlimit', `--data=${memoryBytes}`, '--core=0', '--', ...node];
  const [command = process.execPath, ...args] = process.platform === 'linux' ? limited : node;
  return spawn(command, args, {
    env: childEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
}

function exitFailure(end: { code: number | null; signal: string | null; lastWords: string }): JobFailure {
  if (/out of memory|Allocation failed|bad_alloc|unable to (m|re)alloc|ENOMEM/i.test(end.lastWords)) {
    return failed('decode-out-of-memory', 'needed more memory than a document may take');
  }
  return failed('decode-crashed', `ended with ${end.signal ?? `exit code ${end.code}`}`);
}

function late(deadlineMs: number): JobFailure {
  return failed('decode-timeout', `took longer than ${deadlineMs} ms for one page`);
}

/** Too slow or too large stays so; a crash may have been the host's doing and is worth another attempt. */
function failed(code: FailureCode, what: string): JobFailure {
  const retryable = code === 'decode-crashed';
  return new JobFailure({
    code,
    message: `The decoder of this document ${what}.`,
    retryable,
    phase: 'decode',
  });
}
