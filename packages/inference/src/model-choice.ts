import { defaultModelNames } from './model-assets.ts';
import type { ModelConfig } from './model-config.ts';
import { ModelConfigError } from './model-config-error.ts';
import { ModelError } from './model-error.ts';
import type { DetectSettings, RecognizeSettings } from './model-parameters.ts';
import { modelNames, readModelConfig, readRepository } from './repository.ts';
import type { ServedVersion } from './served-model.ts';

/** The model of a role that is to be served: the one named, or the only one. Throws `ModelConfigError`. */
export async function chooseModel(
  repository: string,
  { role, name }: { role: 'detect' | 'recognize'; name: string | undefined },
): Promise<ModelConfig> {
  // Of a model that is named the others' configs do not matter.
  if (name !== undefined && (await modelNames(repository)).includes(name)) {
    const config = await readModelConfig(repository, name);
    if (config.settings.role === role) return config;
  }
  return pickModel([...(await readRepository(repository)).values()], { role, name, repository });
}

/** A default model gives way to others of its role: it is there for want of them. */
function pickModel(
  configs: readonly ModelConfig[],
  { role, name, repository }: { role: 'detect' | 'recognize'; name: string | undefined; repository: string },
): ModelConfig {
  const candidates = configs.filter(({ settings }) => settings.role === role);
  const own = candidates.filter((config) => config.name !== defaultModelNames[role]);
  const names = candidates.map((config) => config.name).join(', ') || 'none';
  const wanted = name === undefined ? (own.length > 0 ? own : candidates) : [];
  const [found, other] = wanted;
  if (found && !other) return found;
  throw new ModelConfigError({
    file: repository,
    field: 'parameters.role',
    problem: found
      ? `several models have role ${role}: ${names}`
      : `no model${name === undefined ? '' : ` "${name}"`} has role ${role}; found: ${names}`,
    remedy: found
      ? `Say by name which to serve: ${role.toUpperCase()}_MODEL`
      : `Add a model with role ${role}, or correct the name`,
  });
}

/** The version asked for, or the newest. Throws `no-instance` for a version that is not served. */
export function pickVersion<Output>(
  served: readonly ServedVersion<Output>[],
  version: string | undefined,
): ServedVersion<Output> {
  const found = served.find(({ model }) => version === undefined || model.version === version);
  if (found) return found;
  const present = served.map(({ model }) => model.version).join(', ');
  throw new ModelError('no-instance', `expected one of the versions ${present}, got "${version}"`);
}

export function detectSettings({ version }: ServedVersion<unknown>): DetectSettings {
  const { settings } = version.config;
  if (settings.role === 'detect') return settings;
  throw new Error(`expected a detector, got ${version.config.name}`);
}

export function recognizeSettings({ version }: ServedVersion<unknown>): RecognizeSettings {
  const { settings } = version.config;
  if (settings.role === 'recognize') return settings;
  throw new Error(`expected a recogniser, got ${version.config.name}`);
}
