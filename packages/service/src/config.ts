import { z } from 'zod';

/** One setting: the environment variable it is read from, what it may be, and a line for the docs. */
export interface Setting<S extends z.ZodType = z.ZodType> {
  env: string;
  schema: S;
  doc: string;
  secret: boolean;
}

export type Settings = Record<string, Setting>;

export type Config<T extends Settings> = { [K in keyof T]: z.output<T[K]['schema']> };

export function setting<S extends z.ZodType>(env: string, schema: S, doc: string): Setting<S> {
  return { env, schema, doc, secret: false };
}

/** A setting whose value is never shown, not even when it is wrong. */
export function secretSetting<S extends z.ZodType>(env: string, schema: S, doc: string): Setting<S> {
  return { env, schema, doc, secret: true };
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads all settings from `env` at once. An empty variable counts as unset, as in compose files.
 * Throws one ConfigError that lists every wrong setting.
 */
export function readConfig<T extends Settings>(
  settings: T,
  env: Record<string, string | undefined>,
): Config<T> {
  const entries = Object.entries(settings);
  const shape = Object.fromEntries(entries.map(([name, { schema }]) => [name, schema]));
  const values = Object.fromEntries(entries.map(([name, { env: key }]) => [name, env[key] || undefined]));
  const parsed = z.object(shape).safeParse(values);
  if (parsed.success) return parsed.data as Config<T>;
  const lines = parsed.error.issues.map((issue) => {
    const wrong = settings[String(issue.path[0])];
    if (wrong === undefined) return issue.message;
    const value = env[wrong.env];
    const shown =
      value === undefined ? 'is not set' : wrong.secret ? 'is set' : `is ${JSON.stringify(value)}`;
    return `  ${wrong.env} ${shown}: ${issue.message}. ${wrong.doc}`;
  });
  throw new ConfigError(`The configuration is not valid:\n${lines.join('\n')}`);
}

/** Numbers arrive from the environment as text. */
export const integer = (minimum: number, maximum: number) =>
  z.coerce.number().int().min(minimum).max(maximum);
export const port = integer(0, 65_535);
export const flag = z.stringbool();
/** A comma-separated list; empty entries are dropped. */
export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== ''),
);
