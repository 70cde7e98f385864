import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig, type Setting } from '@glyphmill/service/config';
import { z } from 'zod';
import { configSettings, settingValue } from '../fixtures/chart-settings.ts';
import { type ImageApp, imageApps, imageSettings } from '../unit/dockerfile.ts';
import { type Document, render } from './helm.ts';
import { environmentOf, mainContainer, workload } from './workloads.ts';

const secrets = {
  'glyphmill-api-keys': { 'api-keys.json': '[]' },
  'glyphmill-webhook': { WEBHOOK_SIGNING_KEY: 'w'.repeat(64), WEBHOOK_PREVIOUS_SIGNING_KEY: 'v'.repeat(64) },
  'glyphmill-redis': { REDIS_PASSWORD: 'hunter2', REDIS_URL: 'rediss://all:of@it:6379/3' },
  'glyphmill-tracing': { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret' },
  'glyphmill-s3': { S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'secret' },
};

/** Of the environment, what is no setting: what Redis's URL is made of, and node's own. */
const foreign = new Set(['REDIS_PASSWORD', 'NODE_EXTRA_CA_CERTS', 'AWS_MAX_ATTEMPTS', 'NODE_OPTIONS']);

function environment(documents: Document[], app: ImageApp) {
  return environmentOf(mainContainer(workload(documents, app)), secrets);
}

describe('the settings of the processes', () => {
  for (const app of imageApps) {
    it(`of the ${app} can all be set, under their own names or by what makes them`, async () => {
      const values = configSettings(app).map((setting, at) => ({ setting, value: sampleOf(setting, at) }));
      const set = Object.fromEntries(
        values.map(({ setting, value }) => [`${app}.config.${setting.env}`, value]),
      );
      const found = environment(await render({ scenario: 'full', set }), app);
      for (const { setting, value } of values)
        assert.equal(found[setting.env], Array.isArray(value) ? value.join(',') : String(value), setting.env);
      const all = Object.values(imageSettings[app]).map(({ env }) => env);
      assert.deepEqual(
        all.filter((env) => !(env in found)),
        [],
      );
    });

    it(`of the ${app} are read by it as the chart writes them, and there are no others`, async () => {
      for (const scenario of ['minimal', 'external-redis-tls', 'full', 'air-gapped', 'keda']) {
        const found = environment(await render({ scenario }), app);
        assert.doesNotThrow(() => readConfig(imageSettings[app], found), scenario);
        const known = new Set(Object.values(imageSettings[app]).map(({ env }) => env));
        assert.deepEqual(
          Object.keys(found).filter((name) => !known.has(name) && !foreign.has(name)),
          [],
          scenario,
        );
      }
    });
  }

  it('of several go to each that reads them, and one’s own goes first', async () => {
    const documents = await render({ scenario: 'full' });
    const levels = imageApps.map((app) => environment(documents, app).LOG_LEVEL);
    assert.deepEqual(Object.fromEntries(imageApps.map((app, at) => [app, levels[at]])), {
      api: 'warn',
      webhook: 'debug',
      worker: 'debug',
    });
    assert.equal(environment(documents, 'api').WEBHOOK_ALLOW_HTTP, 'true');
    assert.ok(!('WEBHOOK_ALLOW_HTTP' in environment(documents, 'worker')));
  });

  it('have numbers without an exponent', async () => {
    assert.equal(environment(await render({ scenario: 'full' }), 'api').MAX_UPLOAD_BYTES, '100000000');
  });
});

describe('the URL of Redis', () => {
  for (const [scenario, url] of [
    ['minimal', 'redis://:hunter2@release-glyphmill-valkey:6379'],
    ['external-redis-tls', 'rediss://glyphmill:hunter2@redis.example.com:6380/2'],
    ['gpu', 'redis://:hunter2@redis.data.svc:6379'],
    ['keda', 'rediss://all:of@it:6379/3'],
  ] as const)
    it(`is ${url} of ${scenario}`, async () => {
      const documents = await render({ scenario });
      for (const app of imageApps) assert.equal(environment(documents, app).REDIS_URL, url);
    });

  it('needs no password where there is none', async () => {
    const documents = await render({ scenario: 'gpu', set: { 'redis.existingSecret': '' } });
    assert.equal(environment(documents, 'worker').REDIS_URL, 'redis://redis.data.svc:6379');
  });
});

const bounds = z.looseObject({
  type: z.string().optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
});

/** A value that a setting does not have by default; numbers differ from each other, since some are ports. */
function sampleOf(setting: Setting, at: number): unknown {
  const schema = bounds.parse(z.toJSONSchema(settingValue(setting)));
  if (schema.type === 'boolean') return true;
  if (schema.type === 'array') return ['10.0.0.0/8', '172.16.0.0/12'];
  if (schema.maximum !== undefined)
    return schema.type === 'integer'
      ? Math.max(schema.minimum ?? 0, schema.maximum - at)
      : schema.maximum / 2;
  if (schema.enum !== undefined) return schema.enum.at(-1);
  const text = ['/x1', 'https://x1.example', 'x1'].find(
    (candidate) => setting.schema.safeParse(candidate).success,
  );
  return text ?? assert.fail(`no sample of ${setting.env}`);
}
