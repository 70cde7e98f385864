import { readFileSync } from 'node:fs';
import type { BatcherOptions } from '@glyphmill/core/batcher';
import { BatcherOptionsError, BatcherUsageError } from '@glyphmill/core/batcher';
import { runTrace, simulate } from '@glyphmill/core/simulate';
import { planGrid } from '@glyphmill/core/simulate-plan';
import { renderPlans, renderTimeline } from '@glyphmill/core/simulate-text';
import { parseTraces, TraceError } from '@glyphmill/core/simulate-trace';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { ModelConfigError } from '@glyphmill/inference/model-config-error';
import { Command, InvalidArgumentError } from 'commander';
import { CliError } from './cli-error.ts';

interface SimulateOptions {
  json?: true;
  config?: string;
  rate: number;
  serviceTime: { t0: number; t1: number };
  instances: number;
  seconds: number;
  delays?: number[];
  sizes?: number[];
  keys: number;
  seed: number;
}

/** `glyphmill simulate`: what the micro-batcher makes of arrivals, without a model or a clock. */
export function simulateCommand(): Command {
  return new Command('simulate')
    .description('Replay arrivals through the micro-batcher, or plan batch size and delay for a load')
    .argument('[file.json]', 'traces: {"vectors":[{"name","cfg","arrivals"}]}, a list of them, or one')
    .option('--json', 'print JSON')
    .option('--config <config.pbtxt>', 'plan instead: the batching of this model under a random load')
    .option('--rate <items/s>', 'plan: items that arrive a second', parsePositive, 1000)
    .option('--service-time <t0,t1>', 'plan: a micro-batch of B takes t0 + B·t1 µs', parseServiceTime, {
      t0: 1900,
      t1: 90,
    })
    .option('--instances <count>', 'plan: instances that run micro-batches', parsePositive, 1)
    .option('--seconds <s>', 'plan: how long the load lasts', parsePositive, 10)
    .option(
      '--delays <µs,…>',
      'plan: queue delays to compare (default: none, the config’s, and 2 and 5 times it)',
      parseList,
    )
    .option(
      '--sizes <n,…>',
      'plan: batch sizes to compare (default: half, once and twice the config’s)',
      parseList,
    )
    .option('--keys <count>', 'plan: width buckets that the items fall into', parsePositive, 1)
    .option('--seed <n>', 'plan: of the random arrivals', parsePositive, 1)
    .action(run);
}

function run(file: string | undefined, options: SimulateOptions): void {
  try {
    if (options.config !== undefined) plan(options.config, options);
    else if (file !== undefined) replay(file, options);
    else throw new CliError('usage', 'expected a file of traces, or --config to plan for a load; see --help');
  } catch (error) {
    if (isUsersMistake(error)) throw new CliError('usage', error.message, { cause: error });
    throw error;
  }
}

function replay(file: string, { json }: SimulateOptions): void {
  const traces = parseTraces(JSON.parse(read(file)));
  if (json) process.stdout.write(`${JSON.stringify({ vectors: traces.map(simulate) })}\n`);
  else for (const trace of traces) process.stdout.write(`${renderTimeline(runTrace(trace))}\n`);
}

function plan(file: string, options: SimulateOptions): void {
  const { batching, maxBatchSize } = parseModelConfig(read(file), file);
  const { rate: ratePerSecond, serviceTime: serviceTimeUs, instances, seconds, seed, keys } = options;
  const batcher: BatcherOptions = { ...batching, maxBatchSize, instances, bucketing: true };
  const delay = batching.maxQueueDelayUs;
  const size = Math.max(1, maxBatchSize);
  const plans = planGrid(
    { options: batcher, ratePerSecond, serviceTimeUs, instances, seconds, seed, keys },
    {
      maxBatchSizes: options.sizes ?? distinct([Math.ceil(size / 2), size, size * 2]),
      maxQueueDelaysUs: options.delays ?? distinct([0, delay, delay * 2, delay * 5]),
    },
  );
  process.stdout.write(options.json ? `${JSON.stringify({ plans })}\n` : `${renderPlans(plans)}\n`);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError('usage', `${file} cannot be read`, { cause: error });
  }
}

function isUsersMistake(error: unknown): error is Error {
  const kinds = [
    TraceError,
    BatcherOptionsError,
    BatcherUsageError,
    ModelConfigError,
    SyntaxError,
    RangeError,
  ];
  return kinds.some((kind) => error instanceof kind);
}

const distinct = (values: number[]) => [...new Set(values)];

function parsePositive(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('expected a number above 0');
}

function parseList(text: string): number[] {
  const values = text.split(',').map(Number);
  if (values.every((value) => Number.isInteger(value) && value >= 0)) return values;
  throw new InvalidArgumentError('expected whole numbers separated by commas');
}

function parseServiceTime(text: string): { t0: number; t1: number } {
  const [t0 = Number.NaN, t1 = Number.NaN] = text.split(',').map(Number);
  if (t0 >= 0 && t1 >= 0 && t0 + t1 > 0) return { t0, t1 };
  throw new InvalidArgumentError('expected two numbers of µs, for example 1900,90');
}
