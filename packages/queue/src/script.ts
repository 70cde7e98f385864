import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';

export interface ScriptCall {
  keys: readonly string[];
  args: readonly (string | number)[];
}

export interface Script {
  /** What Redis knows it by: SHA-1 in hexadecimal. */
  readonly digest: string;
  run(redis: Redis, keys: Keys, call: ScriptCall): Promise<unknown>;
  /** Many calls in one go; of each the answer, or the error that it came to. They may be made twice. */
  runAll(redis: Redis, keys: Keys, calls: readonly ScriptCall[]): Promise<unknown[]>;
}

type ScriptName =
  | 'attempted'
  | 'batch-advance'
  | 'batch-create'
  | 'batch-end'
  | 'batch-order'
  | 'batch-report'
  | 'batch-take'
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
  | 'rate'
  | 'release'
  | 'reserve'
  | 'retry'
  | 'scaling'
  | 'take';

const read = (name: string) => readFileSync(new URL(`../lua/${name}.lua`, import.meta.url), 'utf8');
const prelude = read('prelude') + read('batch');

/** A Lua script of ours behind the prelude, sent once and called by its digest from then on. */
export function loadScript(name: ScriptName): Script {
  const lua = prelude + read(name);
  const digest = createHash('sha1').update(lua).digest('hex');
  return {
    digest,
    async run(redis, { prefix }, { keys, args }) {
      try {
        return await redis.evalsha(digest, keys.length, ...keys, prefix, ...args);
      } catch (error) {
        if (!isUnknown(error)) throw error;
        return redis.eval(lua, keys.length, ...keys, prefix, ...args);
      }
    },
    async runAll(redis, { prefix }, calls) {
      const call = async () => {
        const pipeline = redis.pipeline();
        for (const { keys, args } of calls) pipeline.evalsha(digest, keys.length, ...keys, prefix, ...args);
        return ((await pipeline.exec()) ?? []).map(([error, answer]) => error ?? answer);
      };
      const answers = await call();
      // A server that does not know the script at the first call has done none of them, or, should it have learnt it
      // meanwhile, is asked for what is done already.
      if (!isUnknown(answers[0])) return answers;
      await redis.script('LOAD', lua);
      return call();
    },
  };
}

function isUnknown(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

/** The parts of a script's answer as text. Throws when it is no list. */
export function answerList(answer: unknown): string[] {
  if (!Array.isArray(answer)) throw new Error(`expected a list from a script, got ${String(answer)}`);
  return answer.map(String);
}
