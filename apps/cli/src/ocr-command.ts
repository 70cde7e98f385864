import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Failure, JobFailure } from '@glyphmill/contract/failure';
import { type Mode, modeSchema, type Options, optionsSchema } from '@glyphmill/contract/request';
import type { Result } from '@glyphmill/contract/result';
import { type Engine, openEngine } from '@glyphmill/engine/engine';
import { importMissingModels } from '@glyphmill/inference/default-models';
import { openModels } from '@glyphmill/inference/models';
import { createLogger } from '@glyphmill/service/logger';
import { Command, Option } from 'commander';
import { CliError } from './cli-error.ts';
import { dataDirOption } from './data-dir.ts';
import { parseOptions } from './option-values.ts';
import { openProgressLine } from './progress-line.ts';

interface OcrOptions {
  mode: Mode;
  format: 'text' | 'json';
  option: string[];
  dataDir: string;
}

/** Files read at once: enough that their lines fill micro-batches. */
const filesAtOnce = 16;
const decoders = 2;
const decodeDeadlineMs = 20_000;
const maxPagePixels = 100e6;
const maxPages = 3000;

/** `glyphmill ocr`: the worker's own pipeline in this process, without Redis, S3 or a server. */
export function ocrCommand(): Command {
  return new Command('ocr')
    .description('Read images here and now, without any server; results go to standard output')
    .argument('<file|folder...>', 'images, or folders that are searched for files')
    .addOption(
      new Option('--mode <mode>', modeSchema.description ?? '')
        .choices(modeSchema.options)
        .default('document'),
    )
    .addOption(
      new Option('--format <format>', 'text, or one JSON object per file and line')
        .choices(['text', 'json'])
        .default('text'),
    )
    .option(
      '--option <name=value>',
      'an option of the job, for example minConfidence=0.8; repeatable',
      collect,
      [],
    )
    .addOption(dataDirOption())
    .action(run);
}

const collect = (value: string, previous: string[]) => [...previous, value];

async function run(paths: string[], { mode, format, option, dataDir }: OcrOptions): Promise<void> {
  const files = paths.flatMap(listFiles);
  const options = optionsSchema.parse(parseOptions(option));
  const progress = openProgressLine(process.stderr);
  if (process.stderr.isTTY) progress.show('loading models …');
  const repository = join(dataDir, 'models');
  await importMissingModels(repository);
  const log = createLogger({ service: 'ocr', level: 'silent' });
  const models = await openModels({ repository, log });
  const engine = openEngine({ models, decoders, decodeDeadlineMs, maxPagePixels, maxPages });
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new CliError('failed', 'interrupted')));
  let failed = 0;
  let done = 0;
  try {
    for await (const outcome of readAll(files, { engine, mode, options, signal: stop.signal })) {
      done += 1;
      if (process.stderr.isTTY) progress.show(`${done} of ${files.length} files`);
      if (failuresOf(outcome).length > 0) failed += 1;
      print(outcome, { format, several: files.length > 1 });
    }
  } finally {
    progress.done();
    engine.close();
    await models.close();
  }
  if (failed > 0)
    throw new CliError('failed', `${failed} of ${files.length} files could not be read in full`);
}

type Outcome = { file: string; result: Result } | { file: string; failure: JobFailure['failure'] };

/** Outcomes in the order of the files, a bounded number of files under way. */
async function* readAll(
  files: readonly string[],
  reading: { engine: Engine; mode: Mode; options: Options; signal: AbortSignal },
): AsyncGenerator<Outcome> {
  const underWay: Promise<Outcome>[] = [];
  for (const file of files) {
    const outcome = readOne(file, reading);
    // It is awaited in its turn; a failure before that must not end the process.
    outcome.catch(() => {});
    underWay.push(outcome);
    if (underWay.length < filesAtOnce) continue;
    const first = underWay.shift();
    if (first !== undefined) yield await first;
  }
  for (const outcome of underWay) yield await outcome;
}

async function readOne(
  file: string,
  { engine, mode, options, signal }: { engine: Engine; mode: Mode; options: Options; signal: AbortSignal },
): Promise<Outcome> {
  try {
    const document = await engine.scan(readFileSync(file), { mode, options, signal });
    return { file, result: await document.result(null) };
  } catch (error) {
    if (error instanceof JobFailure) return { file, failure: error.failure };
    if (isUnreadable(error)) return { file, failure: unreadable(error) };
    throw error;
  }
}

/** A file that the system does not let us read is one outcome among many, and no reason to stop. */
function isUnreadable(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

function unreadable({ message }: NodeJS.ErrnoException): Failure {
  return { code: 'source-access-denied', message, retryable: false, phase: 'fetch' };
}

function print(outcome: Outcome, { format, several }: { format: 'text' | 'json'; several: boolean }): void {
  if (format === 'json') {
    const { file, ...rest } = outcome;
    const body = 'result' in rest ? rest.result : { object: 'error', error: rest.failure };
    process.stdout.write(`${JSON.stringify({ file, ...body })}\n`);
    return;
  }
  for (const { code, message, page } of failuresOf(outcome)) {
    const place = page === undefined ? outcome.file : `${outcome.file}, page ${page}`;
    process.stderr.write(`${place}: ${code}: ${message}\n`);
  }
  if ('failure' in outcome) return;
  process.stdout.write(`${several ? `== ${outcome.file}\n` : ''}${outcome.result.text}\n`);
}

/** Why the file, or which of its pages, could not be read. */
function failuresOf(outcome: Outcome): Failure[] {
  if ('failure' in outcome) return [outcome.failure];
  return outcome.result.pages.flatMap(({ error }) => (error === null ? [] : [error]));
}

function listFiles(path: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new CliError('usage', `there is no file or folder ${path}`);
  if (!stats.isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => !name.startsWith('.'))
    .sort()
    .flatMap((name) => listFiles(join(path, name)));
}
