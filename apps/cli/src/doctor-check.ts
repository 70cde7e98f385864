import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** One thing that was looked at: what was found, and what to do where that does not serve. */
export interface Check {
  name: string;
  status: 'ok' | 'warn' | 'fail';
  /** One sentence or more, without a line break. */
  message: string;
}

export const ok = (name: string, message: string): Check => ({ name, status: 'ok', message });
export const warn = (name: string, message: string): Check => ({ name, status: 'warn', message });
export const fail = (name: string, message: string): Check => ({ name, status: 'fail', message });

/** A failing check of what `error` says, and of what to do about it. */
export function failed(name: string, error: unknown, remedy: string): Check {
  const reason = (error instanceof Error ? error.message || error.name : String(error)).replace(
    /\s*\n\s*/g,
    ' ',
  );
  return fail(name, `${reason.replace(/[.;]$/, '')}. ${remedy}`);
}

/** What the checks go by: the settings that the processes would read, and where `start` keeps things. */
export interface DoctorContext {
  env: Record<string, string | undefined>;
  dataDir: string;
}

/** The first of these programs that the search path has, as a path. */
export async function findProgram(names: readonly string[], searchPath: string): Promise<string | undefined> {
  for (const name of names)
    for (const directory of searchPath.split(delimiter)) {
      const path = join(directory, name);
      if (directory !== '' && (await may(path, constants.X_OK))) return path;
    }
  return undefined;
}

/** Whether this process may access `path` in the given mode of `fs.constants`. */
export async function may(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
