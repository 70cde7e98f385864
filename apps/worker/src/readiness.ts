import type { Models } from '@glyphmill/inference/models';
import type { Check } from '@glyphmill/service/health';

/** Ready while at least one instance of each version served can run; versions that did not load are only told of. */
export function checkModels(models: Models): Check {
  const served = models.info().map(({ name, version, provider }) => {
    const usable = models
      .states()
      .filter(
        ({ model, version: of, status }) =>
          model === name && of === version && (status === 'idle' || status === 'busy'),
      );
    return { ok: usable.length > 0, detail: `${name} ${version} on ${provider}: ${usable.length} instances` };
  });
  const problems = models
    .problems()
    .map(({ model, version, message }) =>
      version === null ? `${model} not followed: ${message}` : `${model} ${version} did not load: ${message}`,
    );
  return {
    ok: served.every(({ ok }) => ok),
    detail: [...served.map(({ detail }) => detail), ...problems].join('; '),
  };
}

/** A model none of whose instances will come up again, in words; undefined while all can be served. */
export function findLostModel(models: Models): string | undefined {
  return models
    .info()
    .map(({ name, version }) => {
      const statuses = models
        .states()
        .filter((state) => state.model === name && state.version === version)
        .map(({ status }) => status);
      return { lost: statuses.length > 0 && statuses.every((status) => status === 'dead'), name, version };
    })
    .filter(({ lost }) => lost)
    .map(({ name, version }) => `all instances of ${name} ${version} failed to start again and again`)[0];
}
