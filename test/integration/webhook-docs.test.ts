import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { batchEventSchema } from '@glyphmill/contract/batch';
import { endpointDisabledEventSchema, jobEventSchema, pingEventSchema } from '@glyphmill/contract/event';
import { eventTypeSchema } from '@glyphmill/contract/event-type';
import { createJobSchema } from '@glyphmill/contract/request';
import { freePorts } from 'glyphmill-cli/free-ports';
import { standardDelaysMs } from 'glyphmill-webhook/schedule';
import { type Stores, startStores } from './api-setup.ts';
import { openSystem, type System } from './webhook-system.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const file = join(root, 'docs/webhooks.md');
const page = readFileSync(file, 'utf8');
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, block = '']) => block);

let stores: Stores;
let system: System;
before(async () => {
  stores = await startStores();
  system = await openSystem(stores);
});
after(async () => {
  await system.close();
  await stores.stop();
});

test('the commands of docs/webhooks.md run as they are pasted, and do what they say', async () => {
  // The first attempts may come before the receiver listens.
  await system.startApp({ delaysMs: Array(30).fill(500) });
  const [port = 0] = await freePorts(1);
  const { key } = system.api.caller();
  const script = blocks('sh').join('\n').replaceAll('8787', `${port}`);
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: root,
    env: { PATH: process.env.PATH, KEY: key, API: system.api.baseUrl },
    timeout: 60_000,
  });
  assert.match(stdout, /evt_\w+ webhook\.ping \{ endpointId: 'whk_\w+' \}/, 'the receiver verified it');
  assert.match(stdout, /"status":"delivered"/);
  assert.match(stdout, /"secret":"whsec_/);
  assert.match(stdout, /"disabledReason":"requested"/);
  assert.equal(await system.redis.zcard(system.keys.tenantEndpoints('acme')), 0, 'it is deleted');
});

test('its job is one that the API takes', () => {
  const [job = ''] = blocks('json');
  createJobSchema.parse(JSON.parse(job));
});

test('it names every event there is, with the data of its body', () => {
  const rows = [...page.matchAll(/^\| `([a-z.-]+)` \| [^|]+ \| ([^|]+) \|$/gm)];
  assert.deepEqual(
    rows.map(([, type]) => type),
    eventTypeSchema.options,
  );
  const dataOf = (type: string) =>
    [...(rows.find(([, name]) => name === type)?.[2] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name);
  assert.deepEqual(dataOf('job.succeeded'), Object.keys(jobEventSchema.shape.data.shape));
  assert.deepEqual(dataOf('batch.completed'), Object.keys(batchEventSchema.shape.data.shape));
  const disabled = endpointDisabledEventSchema.shape.data.shape;
  assert.deepEqual(dataOf('webhook.endpoint-disabled'), Object.keys(disabled));
  assert.deepEqual(dataOf('webhook.ping'), Object.keys(pingEventSchema.shape.data.shape));
});

test('it tells the schedule as it is', () => {
  const text = page.replaceAll('\n', ' ');
  const told = /The next attempts come (.*?) later/.exec(text)?.[1] ?? '';
  const unitsMs: Record<string, number> = { second: 1000, minute: 60_000, hour: 3_600_000 };
  const delaysMs = [...told.matchAll(/(\d+) (second|minute|hour)s/g)].map(
    ([, count, unit = '']) => Number(count) * (unitsMs[unit] ?? 0),
  );
  assert.deepEqual(delaysMs, standardDelaysMs);
});

test('every file it links to is there', () => {
  const links = [...page.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, path = '']) => path);
  assert.ok(links.length > 0, 'it links to the README');
  assert.deepEqual(
    links.filter((path) => !existsSync(join(dirname(file), path))),
    [],
  );
});
