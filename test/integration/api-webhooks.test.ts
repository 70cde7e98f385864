import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newId } from '@glyphmill/contract/id';
import { impossibleHosts, rebindingNames, refusedLiterals, refusedUserinfo } from '../unit/refused-hosts.ts';
import { type Api, type Caller, type Stores, startApi, startStores } from './api-setup.ts';
import { until } from './queue-setup.ts';
import { change, lookAt, register } from './webhook-system.ts';

let stores: Stores;
let api: Api;
before(async () => {
  stores = await startStores();
  api = await startApi(stores);
});
after(async () => {
  await api.close();
  await stores.stop();
});

let tenants = 0;
/** A caller whose tenant no other test shares. */
function newCaller(of: Api = api): Caller & { tenant: string } {
  tenants += 1;
  const tenant = `tenant-${tenants}`;
  return { ...of.caller({ tenant, scopes: ['webhooks:admin', 'jobs:write', 'jobs:read'] }), tenant };
}

const path = '/v1/webhook-endpoints';
const url = 'https://hooks.example/in?token=1';

test('an endpoint is created, seen, changed, listed and deleted', async () => {
  const caller = newCaller();
  const answer = await caller.call('POST', path, { json: { url } });
  assert.equal(answer.status, 201);
  const { secret, previousSecretExpiresAt, ...created } = JSON.parse(answer.text);
  assert.match(created.id, /^whk_[0-9a-z]{26}$/);
  assert.match(secret, /^whsec_/);
  assert.equal(answer.headers.get('location'), `${path}/${created.id}`);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  assert.ok(Math.abs(Date.parse(created.createdAt) - Date.now()) < 10_000, created.createdAt);
  assert.deepEqual(
    [previousSecretExpiresAt, created],
    [
      null,
      {
        object: 'webhook-endpoint',
        id: created.id,
        url,
        events: null,
        description: '',
        enabled: true,
        disabledReason: null,
        disabledAt: null,
        failingSince: null,
        createdAt: created.createdAt,
      },
    ],
  );
  assert.deepEqual(await lookAt(caller, created.id), created);
  const json = { url: 'https://other.example/', events: ['job.failed'], description: 'errors only' };
  assert.deepEqual(await change(caller, created.id, json), { ...created, ...json });
  assert.equal((await change(caller, created.id, { events: null })).events, null);
  const second = await register(caller, { url, events: ['job.succeeded'], enabled: false });
  assert.deepEqual([second.enabled, second.disabledReason], [false, 'requested']);
  const list = JSON.parse((await caller.get(path)).text);
  assert.deepEqual(
    [list.data.map(({ id }: { id: string }) => id), list.nextCursor],
    [[created.id, second.id], null],
  );
  assert.equal((await caller.call('DELETE', `${path}/${created.id}`)).status, 204);
  await caller.refused('not-found', 'GET', `${path}/${created.id}`);
  await caller.refused('not-found', 'DELETE', `${path}/${created.id}`);
  assert.equal(JSON.parse((await caller.get(path)).text).data.length, 1);
});

test('disabling and enabling by hand is told, and says nothing twice', async () => {
  const caller = newCaller();
  const { id } = await register(caller, { url });
  const disabled = await change(caller, id, { enabled: false });
  assert.deepEqual([disabled.enabled, disabled.disabledReason], [false, 'requested']);
  assert.ok(disabled.disabledAt !== null, 'it says when');
  assert.deepEqual(await change(caller, id, { enabled: false }), disabled);
  const enabled = await change(caller, id, { enabled: true });
  assert.deepEqual([enabled.enabled, enabled.disabledReason, enabled.disabledAt], [true, null, null]);
});

test('a secret is shown where it is made and nowhere else, neither by the API nor in Redis', async () => {
  const caller = newCaller();
  const { id, secret } = await register(caller, { url });
  const rotated = await caller.call('POST', `${path}/${id}/rotate-secret`);
  assert.equal(rotated.headers.get('cache-control'), 'no-store');
  const next: string = JSON.parse(rotated.text).secret;
  assert.notEqual(next, secret);
  for (const answer of [
    await caller.get(path),
    await caller.get(`${path}/${id}`),
    await caller.call('PATCH', `${path}/${id}`, { json: { description: 'x' } }),
    await caller.call('POST', `${path}/${id}/test`),
    await caller.get(`${path}/${id}/deliveries`),
  ]) {
    assert.doesNotMatch(answer.text, /whsec_|ecret/);
  }
  const kept = await until('on disk', () => {
    const written = everythingWritten(stores);
    return written.includes(id) && written.includes('webhook.ping') && written;
  });
  for (const shown of [secret, next]) {
    const bytes = Buffer.from(shown.slice('whsec_'.length), 'base64');
    const forms = [shown.slice('whsec_'.length), bytes.toString('base64url'), bytes.toString('hex')];
    assert.ok(!forms.some((form) => kept.includes(form)), 'the secret is readable in Redis');
    assert.ok(!kept.includes(bytes.toString('latin1')), 'its bytes are readable in Redis');
  }
});

/** The append-only file holds whatever was ever written. */
function everythingWritten({ dir }: Stores): string {
  return readdirSync(join(dir, 'redis'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.includes('appendonly'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');
}

test('nobody sees, changes, tests or names another tenant’s endpoint', async () => {
  const [owner, stranger] = [newCaller(), newCaller()];
  const { id } = await register(owner, { url });
  const delivery = `evt_${id.slice(4)}-${id}`;
  for (const [method, target, json] of [
    ['GET', `${path}/${id}`],
    ['PATCH', `${path}/${id}`, { enabled: false }],
    ['DELETE', `${path}/${id}`],
    ['POST', `${path}/${id}/rotate-secret`],
    ['POST', `${path}/${id}/test`],
    ['GET', `${path}/${id}/deliveries`],
    ['POST', `/v1/webhook-deliveries/${delivery}/redeliver`],
  ] as const) {
    await stranger.refused('not-found', method, target, json === undefined ? {} : { json });
  }
  const problem = await stranger.refused('validation-failed', 'POST', '/v1/jobs', {
    json: { source, webhook: { endpointIds: [id] } },
  });
  assert.equal(problem.errors?.[0]?.pointer, '/webhook/endpointIds/0');
  assert.equal((await lookAt(owner, id)).enabled, true);
  assert.equal(JSON.parse((await stranger.get(path)).text).data.length, 0);
});

test('every route needs the scope webhooks:admin, and an id that is one', async () => {
  const { id } = await register(newCaller(), { url });
  const reader = api.caller({ scopes: ['jobs:read', 'jobs:write'] });
  for (const [method, target] of routesOf(id, `${newId('evt')}-${id}`)) {
    await api.stranger.refused('unauthenticated', method, target);
    await reader.refused('insufficient-scope', method, target);
  }
  const caller = newCaller();
  for (const [method, target] of routesOf('whk_1', 'evt_1-whk_1')) {
    if (target === path) continue;
    const json = method === 'PATCH' ? { enabled: true } : undefined;
    await caller.refused('not-found', method, target, { json });
  }
});

const routesOf = (id: string, delivery: string) =>
  [
    ['POST', path],
    ['GET', path],
    ['GET', `${path}/${id}`],
    ['PATCH', `${path}/${id}`],
    ['DELETE', `${path}/${id}`],
    ['POST', `${path}/${id}/rotate-secret`],
    ['POST', `${path}/${id}/test`],
    ['GET', `${path}/${id}/deliveries`],
    ['POST', `/v1/webhook-deliveries/${delivery}/redeliver`],
  ] as const;

const source = { type: 's3', bucket: 'in-box', key: 'a/scan.png' };

test('what is wrong with an endpoint is named', async () => {
  const caller = newCaller();
  const { id } = await register(caller, { url });
  const cases: [pointer: string, body: object][] = [
    ['/url', {}],
    ['/url', { url: 'hooks.example' }],
    ['/url', { url: 'ftp://hooks.example/' }],
    ['/url', { url: `https://hooks.example/${'x'.repeat(2048)}` }],
    ['/url', { url: 'https://user:pass@hooks.example/' }],
    ['/events', { url, events: [] }],
    ['/events/0', { url, events: ['job.done'] }],
    ['/events/0', { url, events: ['webhook.ping'] }],
    ['/description', { url, description: 'x'.repeat(257) }],
    ['/enabled', { url, enabled: 'yes' }],
  ];
  for (const [pointer, json] of cases) {
    const problem = await caller.refused('validation-failed', 'POST', path, { json });
    assert.equal(problem.errors?.[0]?.pointer, pointer, problem.detail);
  }
  await caller.refused('unknown-field', 'POST', path, { json: { url, secret: 'whsec_mine' } });
  await caller.refused('validation-failed', 'PATCH', `${path}/${id}`, { json: {} });
  await caller.refused('unknown-field', 'PATCH', `${path}/${id}`, { json: { createdAt: null } });
});

test('a job names an address or endpoints, and both or neither is refused', async () => {
  const caller = newCaller();
  const { id } = await register(caller, { url });
  await caller.submit({ webhook: { endpointIds: [id, id] } });
  await caller.submit({ webhook: { endpointIds: [id], events: ['job.canceled'] } });
  await caller.submit({ webhook: { url, events: ['job.partial', 'job.expired'] } });
  for (const [pointer, webhook] of [
    ['/webhook', {}],
    ['/webhook', { events: ['job.failed'] }],
    ['/webhook', { url, endpointIds: [id] }],
    ['/webhook/endpointIds', { endpointIds: [] }],
    ['/webhook/endpointIds/0', { endpointIds: ['x'] }],
    ['/webhook/endpointIds/1', { endpointIds: [id, newId('whk')] }],
    ['/webhook/events', { url, events: [] }],
    ['/webhook/events/0', { url, events: ['webhook.ping'] }],
    ['/webhook/url', { url: 'https://user@hooks.example/' }],
  ] as const) {
    const problem = await caller.refused('validation-failed', 'POST', '/v1/jobs', {
      json: { source, webhook },
    });
    assert.equal(problem.errors?.[0]?.pointer, pointer, JSON.stringify(webhook));
  }
});

test('a tenant may have 20 endpoints, even when it asks for more at once', async () => {
  const caller = newCaller();
  const limits = JSON.parse((await caller.get('/v1/limits')).text);
  const answers = await Promise.all(
    Array.from({ length: 25 }, () => caller.call('POST', path, { json: { url } })),
  );
  assert.equal(limits.webhookEndpoints, 20);
  assert.equal(answers.filter(({ status }) => status === 201).length, 20);
  const problem = await caller.refused('endpoint-limit-reached', 'POST', path, { json: { url } });
  assert.equal(problem.status, 409);
  const [first] = JSON.parse((await caller.get(path)).text).data;
  await caller.call('DELETE', `${path}/${first.id}`);
  await register(caller, { url });
  await register(newCaller(), { url });
});

test('no spelling of an address that is not public becomes an endpoint or a job’s webhook', async () => {
  const caller = newCaller();
  const { id } = await register(caller, { url });
  const refused = async (host: string, code: string) => {
    const json = { url: `https://${host}/` };
    await caller.refused(code, 'POST', path, { json });
    await caller.refused(code, 'PATCH', `${path}/${id}`, { json });
    await caller.refused(code, 'POST', '/v1/jobs', { json: { source, webhook: json } });
  };
  for (const host of refusedLiterals) await refused(host, 'address-not-allowed');
  for (const host of [...refusedUserinfo, ...impossibleHosts]) await refused(host, 'validation-failed');
  await caller.refused('address-not-allowed', 'POST', path, { json: { url: 'http://hooks.example/' } });
  assert.equal((await lookAt(caller, id)).url, url);
  // What a name leads to is seen when it is connected to.
  const [name] = Object.keys(rebindingNames);
  await register(caller, { url: `https://${name}/` });
});

test('a network that the operator allows, and http where allowed, may be an endpoint', async () => {
  const open = await startApi(stores, {
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOWED_CIDRS: '10.1.0.0/16,::1/128',
  });
  try {
    const caller = newCaller(open);
    for (const allowed of [
      'http://10.1.2.3:8080/x',
      'https://10.1.255/',
      'https://0x0a010001/',
      'https://[::1]/',
    ]) {
      await register(caller, { url: allowed });
    }
    for (const host of ['10.2.0.1', '127.0.0.1', '[::ffff:10.1.0.1]']) {
      await caller.refused('address-not-allowed', 'POST', path, { json: { url: `https://${host}/` } });
    }
  } finally {
    await open.close();
  }
});

test('a disabled endpoint is neither tested nor sent anything again before it is enabled', async () => {
  const caller = newCaller();
  const { id } = await register(caller, { url, enabled: false });
  const problem = await caller.refused('invalid-state', 'POST', `${path}/${id}/test`);
  assert.match(problem.detail, /requested/);
  await caller.refused('not-found', 'POST', `/v1/webhook-deliveries/${newId('evt')}-${id}/redeliver`);
  await change(caller, id, { enabled: true });
  assert.equal((await caller.call('POST', `${path}/${id}/test`)).status, 202);
});
