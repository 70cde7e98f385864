import { type Options, optionsSchema } from '@glyphmill/contract/request';
import { CliError } from './cli-error.ts';

/** Turns `name=value` pairs into job options; a value is JSON where it can be, else text. */
export function parseOptions(pairs: readonly string[]): Options {
  const entries = pairs.map((pair) => {
    const at = pair.indexOf('=');
    if (at < 1) throw new CliError('usage', `expected --option name=value, got "${pair}"`);
    const name = pair.slice(0, at);
    const value = pair.slice(at + 1);
    // A page range such as "2" is text, though it looks like a number.
    return [name, name === 'pages' ? value : parseValue(value)] as const;
  });
  const parsed = optionsSchema.safeParse(Object.fromEntries(entries));
  if (parsed.success) return parsed.data;
  const reasons = parsed.error.issues.map(
    ({ path, message }) => `${path.join('.') || 'options'}: ${message}`,
  );
  throw new CliError('usage', `the options are not valid: ${reasons.join('; ')}`);
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
