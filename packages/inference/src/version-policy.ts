import { isDeepStrictEqual } from 'node:util';
import { type ModelConfig, parseModelConfig, type VersionPolicy } from './model-config.ts';
import { ModelConfigError } from './model-config-error.ts';
import { readText, servedVersions } from './repository.ts';
import type { VersionStamps } from './version-scan.ts';

/** What one look at a model's directory is judged by. */
export interface Look {
  policy: VersionPolicy;
  /** The look before this one, and this one. */
  before: VersionStamps;
  now: VersionStamps;
  served: readonly number[];
  /** Versions that failed to load, and whose files are as they were then. */
  failed: ReadonlySet<number>;
}

/**
 * The version to load next, if any: the newest that the policy names and that is not served. One counts once its
 * files are the same in two looks, since nothing else tells that a copy is over.
 */
export function nextVersion({ policy, before, now, served, failed }: Look): number | undefined {
  const whole = [...now.keys()].filter(
    (version) =>
      !served.includes(version) && before.get(version) === now.get(version) && !failed.has(version),
  );
  return namedVersions([...stillThere({ before, now, served }), ...whole], policy).find(
    (version) => !served.includes(version),
  );
}

/** Those served that stay: what the policy names of them that are still there, and always one. */
export function keptVersions(look: Pick<Look, 'policy' | 'before' | 'now' | 'served'>): number[] {
  const kept = namedVersions(stillThere(look), look.policy);
  return kept.length > 0 ? kept : newestFirst(look.served).slice(0, 1);
}

/** The versions of `present` that a policy names, newest first; those that it names in vain are passed over. */
export function namedVersions(present: readonly number[], policy: VersionPolicy): number[] {
  const all = newestFirst(present);
  const served = servedVersions(
    all,
    policy.kind === 'specific'
      ? { kind: 'specific', versions: policy.versions.filter((version) => all.includes(version)) }
      : policy,
  );
  return typeof served === 'number' ? [] : served;
}

/**
 * The version policy in a config.pbtxt as it is now. Throws `ModelConfigError` where it is faulty, or where more than
 * the policy is not as `opened` had it: lines cut to the old sizes may be under way.
 */
export async function readPolicy(file: string, opened: ModelConfig): Promise<VersionPolicy> {
  const config = parseModelConfig(await readText(file, 'config.pbtxt'), file);
  const { versionPolicy } = config;
  if (isDeepStrictEqual({ ...config, versionPolicy: null }, { ...opened, versionPolicy: null }))
    return versionPolicy;
  throw new ModelConfigError({
    file,
    field: 'config.pbtxt',
    problem: 'it was changed in more than version_policy while the model is served',
    remedy: 'Start the process again for it to apply, or put the old text back',
  });
}

/** A version is gone where two looks did not find it: in one it may be on its way to being replaced. */
function stillThere({ before, now, served }: Pick<Look, 'before' | 'now' | 'served'>): number[] {
  return served.filter((version) => now.has(version) || before.has(version));
}

function newestFirst(versions: readonly number[]): number[] {
  return [...versions].sort((a, b) => b - a);
}
