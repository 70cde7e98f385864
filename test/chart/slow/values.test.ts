import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { defaultLimits } from '@glyphmill/inference/limits';
import { parse } from 'yaml';
import { z } from 'zod';
import { chartDir, template } from '../helm.ts';

// Every key of values.yaml is changed, one at a time, until a scenario renders to something else.

const generator = fileURLToPath(import.meta.resolve('@bitnami/readme-generator-for-helm/bin/index.js'));
const valuesText = readFileSync(join(chartDir, 'values.yaml'), 'utf8');

const longestSchema = z.looseObject({ longestBatchSeconds: z.number() });

/** One only refuses, and the other cannot be changed alone. */
const provedElsewhere = new Set(['worker.longestBatchSeconds', 'valkey.enabled']);

/** Ordered so that the first ones tell most. */
const scenarios = ['full', 'minimal', 'hpa', 'gpu-mig', 'air-gapped', 'gpu', 'external-redis-tls', 'keda'];

/** What a key is changed to where no rule below fits. */
const changes: Record<string, unknown> = {
  'api.affinity': { nodeAffinity: {} },
  'webhook.affinity': { nodeAffinity: {} },
  'worker.affinity': { nodeAffinity: {} },
  'networkPolicy.storePorts': [9999],
  'networkPolicy.blockedCidrs': ['192.0.2.0/24'],
  'worker.gpu.resource': 'example.com/changed',
  'worker.config.MODEL_REPOSITORY': '/changed',
  'api.terminationGracePeriodSeconds': 4000,
  'webhook.terminationGracePeriodSeconds': 4000,
  'worker.terminationGracePeriodSeconds': 4000,
};

describe('values.yaml', () => {
  it('is documented key by key, and the README’s table says the same', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'glyphmill-chart-'));
    try {
      const readme = join(dir, 'README.md');
      await copyFile(join(chartDir, 'README.md'), readme);
      await promisify(execFile)(process.execPath, [
        generator,
        '-v',
        join(chartDir, 'values.yaml'),
        '-r',
        readme,
      ]);
      const remedy = 'run npx readme-generator -v helm/glyphmill/values.yaml -r helm/glyphmill/README.md';
      assert.equal(readFileSync(join(chartDir, 'README.md'), 'utf8'), readFileSync(readme, 'utf8'), remedy);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  it('says how long a micro-batch may take, and is held to it', async () => {
    const set = { 'worker.longestBatchSeconds': 55 };
    await assert.rejects(
      template({ scenario: 'minimal', set }),
      /longestBatchSeconds by more than 5 \(here 60\)/,
    );
    assert.equal(
      z.looseObject({ worker: longestSchema }).parse(parse(valuesText)).worker.longestBatchSeconds,
      defaultLimits.runTimeoutMs / 1000,
    );
  });

  it('has no key that changes nothing', async () => {
    const base = new Map<string, Promise<string>>();
    const rendered = (scenario: string) => {
      const text = base.get(scenario) ?? template({ scenario });
      base.set(scenario, text);
      return text;
    };
    const unused: string[] = [];
    const queue = leavesOf(parse(valuesText)).filter(({ path }) => !provedElsewhere.has(path));
    assert.ok(queue.length > 150, `${queue.length} keys`);
    const work = async () => {
      for (let leaf = queue.pop(); leaf !== undefined; leaf = queue.pop()) {
        const { path, value } = leaf;
        const others = typeof value === 'boolean' ? [true, false] : [changes[path] ?? changed(path, value)];
        const used = await Promise.all(others.map((other) => changesAny({ [path]: other }, rendered)));
        if (!used.includes(true)) unused.push(path);
      }
    };
    await Promise.all([work(), work(), work()]);
    assert.deepEqual(unused, []);
  });
});

async function changesAny(
  set: Record<string, unknown>,
  rendered: (scenario: string) => Promise<string>,
): Promise<boolean> {
  for (const scenario of scenarios) {
    // Refused where it does not go with the rest of a scenario.
    const text = await template({ scenario, set }).catch(() => undefined);
    if (text !== undefined && text !== (await rendered(scenario))) return true;
  }
  return false;
}

/** Another value that the schema allows at that key. */
function changed(path: string, value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (Array.isArray(value))
    return path.endsWith('Secrets') || /host/i.test(path) ? ['changed'] : [{ name: 'changed' }];
  if (typeof value === 'object') return { changed: 'changed' };
  const key = path.split('.').at(-1) ?? '';
  if (key === 'digest') return `sha256:${'a'.repeat(64)}`;
  if (key === 'sha256') return 'a'.repeat(64);
  if (key === 'url') return 'https://changed.example/models.tar.gz';
  if (key === 'cpu') return path.includes('requests') ? '1' : '7';
  if (/memory|size|Limit/i.test(key)) return key === 'maxmemory' ? '3gb' : '3Gi';
  return { ...enums, interval: '7s', requestTimeout: '7m', type: 'NodePort' }[key] ?? 'changed';
}

const enums = {
  pullPolicy: 'Never',
  provider: 'cpu',
  delivery: 'baked',
  mode: 'none',
  prometheusOperator: 'never',
};

interface Leaf {
  path: string;
  value: unknown;
}

/** Every key whose value is no map with keys of its own. */
function leavesOf(value: unknown, path = ''): Leaf[] {
  const map = z.record(z.string(), z.unknown()).safeParse(value);
  if (!map.success || Object.keys(map.data).length === 0) return [{ path, value }];
  return Object.entries(map.data).flatMap(([key, inner]) =>
    leavesOf(inner, path === '' ? key : `${path}.${key}`),
  );
}
