/**
 * The child process of one instance: one ONNX session, one micro-batch at a time. It is a process since
 * `session.run()` blocks its thread and cannot be stopped: a hung run is ended with the process, a native crash
 * costs one micro-batch, and memory that the runtime keeps goes back with it.
 */
import { ModelOutputError } from '@glyphmill/core/ctc';
import { openDetector } from './detector.ts';
import {
  type FailedMessage,
  type OpenMessage,
  type RefusedMessage,
  type RunMessage,
  type ToParent,
  toChildSchema,
} from './instance-messages.ts';
import { parseModelConfig } from './model-config.ts';
import { ModelConfigError } from './model-config-error.ts';
import { ModelError } from './model-error.ts';
import { dieWithParent } from './parent-watch.ts';
import { openRecognizer } from './recognizer.ts';
import { readText, sha256File } from './repository.ts';
import type { Runner } from './runner.ts';
import { checkSignature, openSession } from './session.ts';

let runner: Runner | undefined;

dieWithParent();
process.on('message', (message) => {
  // A failure that is not answered below is a bug: end the process, the parent sees it and reports.
  void receive(message).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});

async function receive(message: unknown): Promise<void> {
  const parsed = toChildSchema.parse(message);
  reply(parsed.type === 'open' ? await open(parsed) : await run(parsed));
}

function reply(message: ToParent): void {
  process.send?.(message);
}

async function open(message: OpenMessage): Promise<ToParent> {
  try {
    const config = parseModelConfig(message.configText, message.configPath);
    const sha256 = await sha256File(message.modelPath);
    if (sha256 !== message.sha256)
      throw new ModelError(
        'start-failed',
        `${message.modelPath}: expected sha256 ${message.sha256}, found ${sha256}`,
      );
    const { session, provider, providerReason } = await openSession(message, config);
    checkSignature(session, config, message.configPath);
    const { settings } = config;
    if (settings.role === 'detect') runner = await openDetector({ session, config, settings, provider });
    else {
      const labelPath = message.labelPath ?? '';
      const labelText = await readText(labelPath, 'output.label_filename');
      runner = await openRecognizer({ session, config, settings, provider, labelText, labelPath });
    }
    const reason = providerReason === undefined ? {} : { providerReason };
    return { type: 'ready', provider, ...reason, labels: runner.labels, rssBytes: process.memoryUsage.rss() };
  } catch (error) {
    return toRefused(error);
  }
}

function toRefused(error: unknown): RefusedMessage {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ModelConfigError) {
    const { file, field, problem, remedy } = error;
    return { type: 'refused', code: 'config', message, config: { file, field, problem, remedy } };
  }
  const isProvider = error instanceof ModelError && error.code === 'provider-unavailable';
  return { type: 'refused', code: isProvider ? 'provider-unavailable' : 'start-failed', message };
}

async function run({ id, width, items }: RunMessage): Promise<ToParent> {
  try {
    if (!runner) throw new Error('expected to be opened first');
    const { outputs, seconds } = await runner.run(items, width);
    return { type: 'done', id, outputs, ...seconds, rssBytes: process.memoryUsage.rss() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { type: 'failed', id, code: failureCode(error), message, rssBytes: process.memoryUsage.rss() };
  }
}

function failureCode(error: unknown): FailedMessage['code'] {
  if (error instanceof ModelOutputError) return 'bad-output';
  if (error instanceof ModelError && error.code === 'bad-output') return 'bad-output';
  return error instanceof RangeError ? 'bad-input' : 'run-failed';
}
