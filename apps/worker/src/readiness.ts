import type { Models } from '@glyphmill/inference/models';
import type { Check } from '@glyphmill/service/health';

/** Ready while at least one instance of each model can run. */
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
  return { ok: served.every(({ ok }) => ok), detail: served.map(({ detail }) => detail).join('; ') };
}
