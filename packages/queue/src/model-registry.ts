import { type Model, modelSchema } from '@glyphmill/contract/model';
import { z } from 'zod';
import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';

/** How often a worker says what it serves, and how long after that the model still counts as ready. */
export const announceEveryMs = 10_000;
const readyForMs = 30_000;
/** A model nobody has served for this long is forgotten. */
const forgetAfterMs = 7 * 86_400_000;

const announcedSchema = modelSchema.omit({ object: true, ready: true }).extend({ seenAtMs: z.number() });
export type AnnouncedModel = Omit<z.infer<typeof announcedSchema>, 'seenAtMs'>;

/** Tells the API which models this worker serves. */
export async function announceModels(
  redis: Redis,
  keys: Keys,
  models: readonly AnnouncedModel[],
): Promise<void> {
  if (models.length === 0) return;
  const seenAtMs = Date.now();
  const entries = models.map((model) => [fieldOf(model), JSON.stringify({ ...model, seenAtMs })] as const);
  await redis.hset(keys.models, Object.fromEntries(entries));
}

/** All models that workers have announced, by role, name and version. */
export async function listModels(redis: Redis, keys: Keys): Promise<Model[]> {
  const nowMs = Date.now();
  const models: Model[] = [];
  for (const [field, json] of Object.entries(await redis.hgetall(keys.models)).sort()) {
    const { seenAtMs, ...model } = announcedSchema.parse(JSON.parse(json));
    if (nowMs - seenAtMs > forgetAfterMs) await redis.hdel(keys.models, field);
    else models.push({ object: 'model', ...model, ready: nowMs - seenAtMs <= readyForMs });
  }
  return models;
}

function fieldOf({ role, name, version, provider }: AnnouncedModel): string {
  return `${role}/${name}/${version}/${provider}`;
}
