import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { repositoryRoot } from './system.ts';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'glyphmill-scaling-'));
});
after(() => rm(dir, { recursive: true, force: true }));

const glyphmill = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['apps/cli/bin/glyphmill.js', 'simulate-scaling', ...args], {
    cwd: repositoryRoot,
  });

const runSchema = z.object({
  scenario: z.object({ targetSeconds: z.number(), hpa: z.object({ maxReplicas: z.number() }) }),
  cost: z.object({ podHours: z.number(), price: z.number().nullable() }),
  objective: z.object({ isMet: z.boolean() }),
  samples: z.array(z.object({ atSeconds: z.number(), replicas: z.number() })),
  peakReplicas: z.number(),
});

test('without arguments a burst is played, and a table says what it costs and whether the objective is met', async () => {
  const { stdout } = await glyphmill('--pod-price', '2.5');
  assert.match(stdout, /^ +time +pages\/s +backlog +oldest waits +replicas +ready +pod-hours$/m);
  assert.match(stdout, /^longest wait +\d+:\d\d: the objective of 10:00 is met$/m);
  const [, hours, price] = /^cost +(\S+) pod-hours, (\S+) at the price given$/m.exec(stdout) ?? [];
  assert.ok(Math.abs(Number(hours) * 2.5 - Number(price)) < 0.03, stdout);
});

test('a load and an HPA come from files, and --json has every sample', async () => {
  const [load, hpa] = [join(dir, 'load.json'), join(dir, 'hpa.json')];
  await writeFile(load, JSON.stringify([{ atSeconds: 60, documents: 30, pagesPerDocument: 100 }]));
  const target = { type: 'AverageValue', averageValue: '300' };
  await writeFile(
    hpa,
    JSON.stringify({
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      spec: { maxReplicas: 6, metrics: [{ type: 'External', external: { metric: { name: 'x' }, target } }] },
    }),
  );
  const { stdout } = await glyphmill(load, '--hpa', hpa, '--seconds', '1800', '--json');
  const run = runSchema.parse(JSON.parse(stdout));
  assert.equal(run.scenario.targetSeconds, 300);
  assert.equal(run.peakReplicas, 6);
  assert.equal(run.samples.length, 120);
});

test('what cannot be read is refused with the place and exit code 2', async () => {
  const load = join(dir, 'wrong.json');
  await writeFile(load, JSON.stringify([{ atSeconds: -1, pagesPerSecond: 2 }]));
  await assert.rejects(glyphmill(load), (error: { code: number; stderr: string }) => {
    assert.equal(error.code, 2);
    assert.match(error.stderr, /wrong\.json/);
    return true;
  });
  await assert.rejects(glyphmill('--min', '5', '--max', '2'), /expected --min of at most --max/);
});
