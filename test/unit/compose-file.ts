import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { argsOf, finalStage, type ImageApp, imageApps, images, repositoryRoot } from './dockerfile.ts';

// What docker-compose.yml says, with Compose's own interpolation, for the tests of it.

export const text = readFileSync(`${repositoryRoot}docker-compose.yml`, 'utf8');

export const serviceSchema = z.object({
  image: z.string(),
  build: z
    .object({ context: z.literal('.'), dockerfile: z.string(), target: z.string().optional() })
    .optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).default({}),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  networks: z.array(z.string()).min(1),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  secrets: z.array(z.object({ source: z.string(), target: z.string() })).default([]),
  tmpfs: z.array(z.string()),
  security_opt: z.array(z.string()),
  cap_drop: z.array(z.string()),
  init: z.boolean(),
  read_only: z.boolean(),
  pids_limit: z.number(),
  mem_limit: z.string(),
  restart: z.string(),
  stop_grace_period: z.string(),
  healthcheck: z.object({ test: z.array(z.string()) }).optional(),
  profiles: z.array(z.enum(['cpu', 'gpu', 'monitoring'])).default([]),
  configs: z.array(z.object({ source: z.string(), target: z.string() })).default([]),
  deploy: z.unknown().optional(),
});
export type Service = z.infer<typeof serviceSchema>;
const fileSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.unknown()),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
  configs: z.record(z.string(), z.object({ file: z.string() })),
});

export const required = {
  REDIS_PASSWORD: 'a'.repeat(64),
  S3_SECRET_ACCESS_KEY: 'b'.repeat(64),
  WEBHOOK_SIGNING_KEY: 'c'.repeat(64),
};
export const file = readCompose(required);
export const services = Object.entries(file.services);
/** The services that run our images. */
export const ownServices = images.map(({ app, target }) => ({
  app,
  target,
  service: target === 'cuda' ? 'worker-gpu' : app,
}));

export function read(path: string): string {
  return readFileSync(join(repositoryRoot, path), 'utf8');
}

export function readCompose(environment: Record<string, string>) {
  const tree: unknown = parse(text, { merge: true });
  return fileSchema.parse(interpolate(tree, environment));
}

/** Compose's `${X}`, `${X:-default}` and `${X:?message}`. */
function interpolate(value: unknown, environment: Record<string, string>): unknown {
  if (typeof value === 'string') {
    return value.replaceAll(/\$\{([A-Z0-9_]+)(?::([-?])([^}]*))?\}/g, (_, name, kind, rest) => {
      const found = environment[name];
      if (found) return found;
      if (kind === '?') throw new Error(`${name}: ${rest}`);
      return rest ?? '';
    });
  }
  if (Array.isArray(value)) return value.map((entry) => interpolate(entry, environment));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, interpolate(entry, environment)]),
  );
}

export function rawService(name: string): object {
  const tree = z
    .object({ services: z.record(z.string(), z.looseObject({})) })
    .parse(parse(text, { merge: true }));
  return tree.services[name] ?? {};
}

export function serviceOf(name: string): Service {
  const service = file.services[name];
  if (service === undefined) throw new Error(`no service ${name}`);
  return service;
}

export function exposedPorts(name: string): string[] {
  const app = imageApps.find((candidate): candidate is ImageApp => candidate === name);
  return app === undefined ? [] : argsOf(finalStage(app), 'EXPOSE').join(' ').split(' ');
}

/** Whether a service that runs on waits for this one to end well: then `up --wait` takes its end for success. */
export function isWaitedForUntilDone(name: string): boolean {
  return services.some(
    ([, { depends_on }]) => depends_on[name]?.condition === 'service_completed_successfully',
  );
}

export function seconds(duration: string): number {
  return Number(/^(\d+)s$/.exec(duration)?.[1]);
}

export function bytes(size: string): number {
  const [, number, unit] = /^(\d+)(m|g)b?$/.exec(size) ?? [];
  return Number(number) * (unit === 'g' ? 2 ** 30 : 2 ** 20);
}
