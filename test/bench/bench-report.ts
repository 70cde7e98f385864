import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Measurement, Row } from './bench-measurement.ts';
import { describeMachine } from './machine.ts';

type Named = Measurement & { letter: string; name: string };

/** A table in Markdown, its columns aligned. */
export function renderTable(found: readonly Named[]): string {
  const rows = found.flatMap(({ letter, rows }) =>
    rows.map(({ what, figure, target }) => [`(${letter}) ${what}`, figure, describeTarget(target)]),
  );
  const table = [['what', 'figure', 'target'], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((cells) => (cells[column] ?? '').length)));
  const lines = table.map(
    (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`,
  );
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return `${[...lines.slice(0, 1), rule, ...lines.slice(1)].join('\n')}\n`;
}

function describeTarget(target: Row['target']): string {
  if (!target) return '–';
  if (target.met === undefined) return `${target.text}: too short a run to tell`;
  return `${target.text}: ${target.met ? 'met' : 'missed'}`;
}

export async function writeResults(
  file: string,
  {
    command,
    found,
    quick,
    seconds,
  }: { command: string; found: readonly Named[]; quick: boolean; seconds: number },
): Promise<void> {
  const { date, node, ...machine } = describeMachine();
  const results = {
    machine,
    node,
    date,
    commit: await commit(),
    command: `${command} -- ${process.argv.slice(2).join(' ')}`,
    quick,
    seconds,
    /** Over the last 1, 5 and 15 minutes: with nothing else on the machine about the number of cores. */
    loadAverage: loadavg(),
    table: found.flatMap(({ rows }) => rows),
    figures: Object.fromEntries(found.map(({ name, figures }) => [name, figures])),
  };
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(results, null, 2)}\n`);
}

/** Of this checkout, with `-dirty` where files were changed; undefined where there is none. */
async function commit(): Promise<string | undefined> {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  const args = ['describe', '--always', '--dirty', '--abbrev=12', '--match', ''];
  return promisify(execFile)('git', args, { cwd }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}
