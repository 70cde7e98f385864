import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';

export interface Script {
  run(
    redis: Redis,
    keys: Keys,
    call: { keys: readonly string[]; args: readonly (string | number)[] },
  ): Promise<unknown>;
}

type ScriptName =
  | 'attempted'
  | 'begin'
  | 'claim'
  | 'commit'
  | 'create'
  | 'delete'
  | 'endpoint-create'
  | 'endpoint-remove'
  | 'endpoint-rotate'
  | 'endpoint-update'
  | 'feed'
  | 'forget'
  | 'progress'
  | 'queue-state'
  | 'release'
  | 'reserve'
  | 'retry'
  | 'take';

const prelude = readFileSync(new URL('../lua/prelude.lua', import.meta.url), 'utf8');

/** A Lua script of ours behind the prelude, sent once and called by its digest from then on. */
export function loadScript(name: ScriptName): Script {
  const lua = prelude + readFileSync(new URL(`../lua/${name}.lua`, import.meta.url), 'utf8');
  const sha = createHash('sha1').update(lua).digest('hex');
  return {
    async run(redis, { prefix }, { keys, args }) {
      try {
        return await redis.evalsha(sha, keys.length, ...keys, prefix, ...args);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
        return redis.eval(lua, keys.length, ...keys, prefix, ...args);
      }
    },
  };
}

/** The parts of a script's answer as text. Throws when it is no list. */
export function answerList(answer: unknown): string[] {
  if (!Array.isArray(answer)) throw new Error(`expected a list from a script, got ${String(answer)}`);
  return answer.map(String);
}
