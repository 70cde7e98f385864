import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { type ApiKeyEntry, apiKeyFileSchema } from '@glyphmill/service/api-key';
import type { Logger } from '@glyphmill/service/logger';
import { z } from 'zod';

export interface ApiKeyFile {
  /** The keys valid now, by id. */
  keys(): ReadonlyMap<string, ApiKeyEntry>;
  close(): void;
}

/** Polled, not watched: a mounted secret changes by a symbolic link being replaced. */
const pollMs = 5000;

/**
 * Reads the API keys and reads them again when the file changes. Throws when it cannot be read at first;
 * a later version that cannot be read is logged, and the keys stay as they were.
 */
export function openApiKeyFile(path: string, options: { log: Logger; pollMs?: number }): ApiKeyFile {
  let keys = readKeys(path);
  const reload = () => {
    try {
      keys = readKeys(path);
      options.log.info({ count: keys.size }, 'API keys read again');
    } catch (error) {
      options.log.error({ err: error }, 'the API keys changed and cannot be read; the old ones stay valid');
    }
  };
  watchFile(path, { interval: options.pollMs ?? pollMs, persistent: false }, reload);
  return { keys: () => keys, close: () => unwatchFile(path, reload) };
}

function readKeys(path: string): ReadonlyMap<string, ApiKeyEntry> {
  const parsed = apiKeyFileSchema.safeParse(parseJson(path));
  if (!parsed.success) {
    throw new Error(`API_KEYS_FILE ${path} is not a list of API keys:\n${z.prettifyError(parsed.error)}`);
  }
  return new Map(parsed.data.map((entry) => [entry.id, entry]));
}

function parseJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    // The parser's message quotes the text, and the text holds digests.
    const reason = error instanceof SyntaxError ? 'it is not JSON' : String(error);
    throw new Error(`API_KEYS_FILE ${path} cannot be read: ${reason}.`);
  }
}
