import { readFileSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { isFinal, type Job } from '@glyphmill/contract/job';
import {
  type Mode,
  modeSchema,
  type Priority,
  prioritySchema,
  requestLimits,
} from '@glyphmill/contract/request';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type ApiClient, openApiClient } from './api-client.ts';
import { CliError } from './cli-error.ts';
import { dataDirOption } from './data-dir.ts';
import { parseOptions } from './option-values.ts';
import { openProgressLine } from './progress-line.ts';
import { findTarget } from './target.ts';

interface CommonOptions {
  dataDir: string;
  json?: true;
}

interface SubmitOptions extends CommonOptions {
  bucket?: string;
  mode: Mode;
  priority: Priority;
  option: string[];
  webhook?: string;
  wait?: true;
}

/** `glyphmill submit|status|wait|result`: the API from the command line. */
export function jobCommands(): Command[] {
  return [submitCommand(), statusCommand(), waitCommand(), resultCommand()];
}

function submitCommand(): Command {
  return withCommon(new Command('submit'))
    .description('Submit documents: objects in S3, or small local files')
    .argument('<key|file...>', 's3://bucket/key, a key with --bucket, or a local file of at most 5 MB')
    .option('--bucket <name>', 'the bucket that the keys are in')
    .addOption(
      new Option('--mode <mode>', modeSchema.description ?? '')
        .choices(modeSchema.options)
        .default('document'),
    )
    .addOption(
      new Option('--priority <priority>', 'which jobs go first')
        .choices(prioritySchema.options)
        .default('normal'),
    )
    .option(
      '--option <name=value>',
      'an option of the job, for example minConfidence=0.8; repeatable',
      collect,
      [],
    )
    .option('--webhook <url>', 'where to report the end of the job')
    .option('--wait', 'wait for the end and print the text')
    .action(async (names: string[], options: SubmitOptions) => {
      const client = openApiClient(findTarget(options.dataDir));
      const jobs: Job[] = [];
      for (const name of names) {
        const { mode, priority, webhook } = options;
        const job = await client.submit({
          source: toSource(name, options.bucket),
          mode,
          priority,
          options: parseOptions(options.option),
          ...(webhook === undefined ? {} : { webhook: { url: webhook } }),
        });
        jobs.push(job);
        if (options.wait === undefined) print(job, options);
      }
      if (options.wait === undefined) return;
      const ended = await waitForAll(client, jobs);
      for (const job of ended) await printEnd(client, job, options);
      expectSuccess(ended);
    });
}

function statusCommand(): Command {
  return withCommon(new Command('status'))
    .description('Show how far a job is')
    .argument('<id>', 'the job')
    .action(async (id: string, options: CommonOptions) => {
      print(await openApiClient(findTarget(options.dataDir)).job(id), options);
    });
}

function waitCommand(): Command {
  return withCommon(new Command('wait'))
    .description('Wait for the end of jobs; exit code 1 when one has failed')
    .argument('<id...>', 'the jobs')
    .action(async (ids: string[], options: CommonOptions) => {
      const client = openApiClient(findTarget(options.dataDir));
      const jobs = await Promise.all(ids.map((id) => client.job(id)));
      const ended = await waitForAll(client, jobs);
      for (const job of ended) print(job, options);
      expectSuccess(ended);
    });
}

function resultCommand(): Command {
  return withCommon(new Command('result'))
    .description('Print what was read')
    .argument('<id>', 'the job')
    .option('--format <format>', 'text or json', parseFormat, 'text' as const)
    .action(async (id: string, options: CommonOptions & { format: 'text' | 'json' }) => {
      const format = options.json === undefined ? options.format : 'json';
      const text = await openApiClient(findTarget(options.dataDir)).result(id, format);
      process.stdout.write(`${text.replace(/\n$/, '')}\n`);
    });
}

function withCommon(command: Command): Command {
  return command.option('--json', 'print JSON, one object on each line').addOption(dataDirOption());
}

const collect = (value: string, previous: string[]) => [...previous, value];

function parseFormat(text: string): 'text' | 'json' {
  if (text === 'text' || text === 'json') return text;
  throw new InvalidArgumentError('expected text or json');
}

const contentTypes: Record<string, string> = {
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.avif': 'image/avif',
  '.tif': 'image/tiff',
  '.tiff': 'image/tiff',
};

function toSource(name: string, bucket: string | undefined): object {
  const url = /^s3:\/\/([^/]+)\/(.+)$/s.exec(name);
  if (url !== null) return { type: 's3', bucket: url[1], key: url[2] };
  if (bucket !== undefined) return { type: 's3', bucket, key: name };
  const stats = statSync(name, { throwIfNoEntry: false });
  if (stats?.isFile() !== true) {
    throw new CliError(
      'usage',
      `there is no file ${name}; for an object in S3 write s3://bucket/key or give --bucket`,
    );
  }
  if (stats.size > requestLimits.inlineBytes) {
    const limit = requestLimits.inlineBytes / 1e6;
    throw new CliError(
      'usage',
      `${name} is larger than ${limit} MB; put it into S3 and submit s3://bucket/key`,
    );
  }
  const contentType = contentTypes[extname(name).toLowerCase()] ?? 'application/octet-stream';
  return { type: 'inline', contentType, data: readFileSync(name).toString('base64') };
}

/** Long-polls the jobs one after the other: they run side by side all the same. */
async function waitForAll(client: ApiClient, jobs: readonly Job[]): Promise<Job[]> {
  const progress = openProgressLine(process.stderr);
  const ended: Job[] = [];
  for (let job of jobs) {
    while (!isFinal(job.status)) {
      const { pagesDone, pagesTotal } = job.progress;
      const pages = pagesTotal === null ? '' : `, page ${pagesDone} of ${pagesTotal}`;
      progress.show(`${ended.length} of ${jobs.length} jobs ended; ${job.id} is ${job.status}${pages}`);
      job = await client.poll(job.id, process.stderr.isTTY ? 2 : requestLimits.waitSecondsMax);
    }
    ended.push(job);
  }
  progress.done();
  return ended;
}

function print(job: Job, { json }: CommonOptions): void {
  if (json) process.stdout.write(`${JSON.stringify(job)}\n`);
  else process.stdout.write(`${job.id}  ${job.status}${describe(job)}\n`);
}

function describe({ status, progress, error, usage, timings }: Job): string {
  if (error !== null) return `  ${error.code}: ${error.message}`;
  if (usage !== null && timings !== null) {
    const failed = progress.pagesFailed === 0 ? '' : `, ${progress.pagesFailed} pages could not be read`;
    return `  ${usage.pages} pages, ${usage.lines} lines${failed}, ${timings.totalMs} ms after ${timings.queueMs} ms in the queue`;
  }
  if (status === 'running' && progress.pagesTotal !== null)
    return `  page ${progress.pagesDone} of ${progress.pagesTotal}`;
  return '';
}

async function printEnd(client: ApiClient, job: Job, options: CommonOptions): Promise<void> {
  if (job.status !== 'succeeded' || options.json) print(job, options);
  else process.stdout.write(`${await client.result(job.id, 'text')}\n`);
}

function expectSuccess(jobs: readonly Job[]): void {
  const failed = jobs.filter(({ status }) => status !== 'succeeded').length;
  if (failed > 0) throw new CliError('failed', `${failed} of ${jobs.length} jobs did not succeed`);
}
