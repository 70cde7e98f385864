import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CliError } from './cli-error.ts';

/** The API that commands talk to. */
const targetSchema = z.object({ url: z.string(), apiKey: z.string() });
export type Target = z.infer<typeof targetSchema>;

const fileOf = (dataDir: string) => join(dataDir, 'running.json');

/** Leaves word for other commands where the embedded system is. */
export function rememberLocal(dataDir: string, target: Target): void {
  writeFileSync(fileOf(dataDir), `${JSON.stringify(target)}\n`, { mode: 0o600 });
}

export function forgetLocal(dataDir: string): void {
  rmSync(fileOf(dataDir), { force: true });
}

/** GLYPHMILL_URL and GLYPHMILL_API_KEY, else the system that `glyphmill start` runs from this data directory. */
export function findTarget(dataDir: string): Target {
  const { GLYPHMILL_URL: url, GLYPHMILL_API_KEY: apiKey } = process.env;
  if (url && apiKey) return { url: url.replace(/\/+$/, ''), apiKey };
  try {
    return targetSchema.parse(JSON.parse(readFileSync(fileOf(dataDir), 'utf8')));
  } catch (error) {
    throw new CliError(
      'unreachable',
      'no system to talk to: run "glyphmill start" here, or set GLYPHMILL_URL and GLYPHMILL_API_KEY',
      { cause: error },
    );
  }
}
