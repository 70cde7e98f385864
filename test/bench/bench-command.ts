import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchContext, Measurement } from './bench-measurement.ts';
import { renderTable, writeResults } from './bench-report.ts';

/** One thing that a bench measures. */
export interface Kind<C> {
  letter: string;
  name: string;
  what: string;
  measure: (context: C) => Promise<Measurement>;
}

export interface BenchCommand<C> {
  /** As it is called: `npm run bench`. */
  command: string;
  kinds: readonly Kind<C>[];
  /** How long it takes, whole and with --quick. */
  duration: { whole: string; quick: string };
  /** What --seconds is the time of; without it there is no such option. */
  timed?: string;
  /** Said at the end of the usage. */
  remark?: string;
  /** Makes what the kinds need besides. */
  prepare: (context: BenchContext) => Promise<C>;
}

interface Options<C> {
  help: boolean;
  chosen: Kind<C>[];
  quick: boolean;
  json: string | undefined;
  seconds: number | undefined;
}

/**
 * Runs a bench's command line: measures what is chosen and prints the table. Exit codes: 0 measured, whatever the
 * figures; 1 something failed; 2 the command line is not valid.
 */
export async function runBench<C>(bench: BenchCommand<C>): Promise<void> {
  const options = readOptions(bench, process.argv.slice(2));
  if (typeof options === 'string') {
    console.error(`bench: ${options}\n\n${usageOf(bench)}`);
    process.exitCode = 2;
  } else if (options.help) process.stdout.write(usageOf(bench));
  else await measure(bench, options);
}

/** Or what is wrong with them. */
function readOptions<C>({ kinds, timed }: BenchCommand<C>, args: string[]): Options<C> | string {
  try {
    const text = { type: 'string' } as const;
    const flag = { type: 'boolean', default: false } as const;
    const known = { only: text, json: text, seconds: text, quick: flag, help: flag };
    const { values } = parseArgs({ args, options: known });
    if (values.seconds !== undefined && timed === undefined) return '--seconds: nothing here runs for a time';
    const { help, quick, only, json } = values;
    const wanted = only?.split(',');
    const unknown = wanted?.find((word) => !kinds.some((kind) => isNamed(kind, word)));
    if (unknown !== undefined) return `--only: there is no "${unknown}"`;
    const chosen = kinds.filter((kind) => wanted?.some((word) => isNamed(kind, word)) ?? true);
    const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
    if (seconds !== undefined && !(seconds >= 1)) return '--seconds: expected a number of at least 1';
    return { help, quick, json, chosen, seconds };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isNamed({ letter, name }: Pick<Kind<never>, 'letter' | 'name'>, word: string): boolean {
  return word === letter || word === name;
}

function usageOf<C>({ command, kinds, duration, timed, remark = '' }: BenchCommand<C>): string {
  const width = Math.max(...kinds.map(({ name }) => name.length));
  const seconds = timed === undefined ? '' : `\n  --seconds <n>   ${timed}`;
  return `${command} -- [--only <list>] [--quick]${timed === undefined ? '' : ' [--seconds <n>]'} [--json <file>]

  --only <list>   of these, by letter or name, for example ${kinds[0]?.letter},${kinds.at(-1)?.name}:
${kinds.map(({ letter, name, what }) => `                  ${letter}, ${name.padEnd(width)} ${what}`).join('\n')}
  --quick         few and short rounds: whether all works, in ${duration.quick} instead of ${duration.whole}${seconds}
  --json <file>   write the figures with machine, date and command

The table goes to standard output, progress to standard error. Exit codes: 0 measured, whatever the figures;
1 something failed; 2 the command line is not valid.${remark}
`;
}

async function measure<C>(
  { command, prepare }: BenchCommand<C>,
  { chosen, quick, json, seconds }: Options<C>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'glyphmill-bench-'));
  try {
    const start = performance.now();
    const note = (text: string) =>
      console.error(`${((performance.now() - start) / 1000).toFixed(0).padStart(4)} s  ${text}`);
    const prepared = await prepare({ quick, seconds, folder, note: (text) => note(`    ${text}`) });
    const found: (Measurement & { letter: string; name: string })[] = [];
    for (const { letter, name, what, measure } of chosen) {
      note(`(${letter}) ${name}: ${what}`);
      found.push({ letter, name, ...(await measure(prepared)) });
    }
    process.stdout.write(renderTable(found));
    if (json !== undefined) {
      const took = Math.round((performance.now() - start) / 1000);
      await writeResults(json, { command, found, quick, seconds: took });
      console.error(`written to ${json}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
