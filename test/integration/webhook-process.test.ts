import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Stores, startStores } from './api-setup.ts';
import { startTestRedis, until } from './queue-setup.ts';
import { ended, metric, openInstallation, signingKey, startReceiver, verified } from './webhook-setup.ts';
import { change, openSystem, register } from './webhook-system.ts';

const main = fileURLToPath(import.meta.resolve('glyphmill-webhook/main'));
let server: Awaited<ReturnType<typeof startTestRedis>>;
let stores: Stores;
before(async () => {
  server = await startTestRedis();
  stores = await startStores();
});
after(async () => {
  await server.stop();
  await stores.stop();
});

/** The process as it is deployed; `exit` resolves to its code. */
function startProcess(env: Record<string, string>) {
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    env: { PATH: process.env.PATH, METRICS_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const exit = once(child, 'exit').then(([code]): unknown => code);
  return { child, exit, output: () => output };
}

test('the process gets ready, delivers, logs no secret and no body, and exits 0 on SIGTERM', async () => {
  const installation = await openInstallation(server.url);
  const receiver = await startReceiver();
  const { child, exit, output } = startProcess({
    REDIS_URL: server.url,
    REDIS_SHARD: installation.address.shard,
    WEBHOOK_SIGNING_KEY: signingKey,
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOWED_CIDRS: '127.0.0.0/8',
  });
  try {
    const started = await until('start', () => /"port":(\d+),"msg":"delivering/.exec(output()) ?? false);
    const port = Number(started[1]);
    const readiness = await fetch(`http://127.0.0.1:${port}/readyz`);
    assert.deepEqual(await readiness.json(), { ready: true, checks: { redis: { ok: true, detail: 'up' } } });
    await installation.endJob(`${receiver.url}?token=canary`);
    const [request] = await until('delivery', () => receiver.requests.length > 0 && receiver.requests);
    assert.ok(request !== undefined, 'it is there');
    verified(request);
    await until('metric', async () => (await metric(port, ended('delivered'))) === 1);
    assert.equal(await metric(port, 'ocr_webhook_deliveries{state="waiting"}'), 0);
    child.kill('SIGTERM');
    assert.equal(await exit, 0);
    const line = output()
      .split('\n')
      .find((text) => text.includes('"delivery attempt"'));
    const { eventId, tenant, host, outcome, attempt } = JSON.parse(line ?? '');
    assert.deepEqual(
      { eventId, tenant, host, outcome, attempt },
      {
        eventId: request.id,
        tenant: 'acme',
        host: `127.0.0.1:${receiver.port}`,
        outcome: 'delivered',
        attempt: 1,
      },
    );
    assert.doesNotMatch(output(), /canary|whsec_|9912/);
  } finally {
    child.kill('SIGKILL');
    await exit;
    await receiver.close();
    await installation.close();
  }
});

test('whatever becomes of an endpoint’s deliveries, the process logs none of its secrets, nor its address', async () => {
  const system = await openSystem(stores);
  const caller = system.api.caller();
  const receiver = await system.receive((response, turn) => {
    response.writeHead([204, 500, 410][turn - 1] ?? 204).end();
  });
  const url = `${receiver.url}/canary?token=canary`;
  const { id, secret } = await register(caller, { url, description: 'canary' });
  const rotated = await caller.call('POST', `/v1/webhook-endpoints/${id}/rotate-secret`);
  const sealed = (await system.redis.hget(system.keys.endpoint(id), 'secret')) ?? '';
  const { child, exit, output } = startProcess({
    REDIS_URL: stores.env.REDIS_URL,
    REDIS_SHARD: system.address.shard,
    WEBHOOK_SIGNING_KEY: signingKey,
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOWED_CIDRS: '127.0.0.0/8',
    LOG_LEVEL: 'debug',
  });
  const told = (text: string) => until(text, () => output().includes(text));
  try {
    await system.endJob(null);
    await told('"outcome":"delivered"');
    await system.endJob(null);
    await told('"statusCode":500');
    await system.endJob(null);
    await told('webhook endpoint disabled');
    await change(caller, id, { enabled: true });
    await system.redis.hset(system.keys.endpoint(id), 'secret', `${sealed.slice(0, -4)}AAAA`);
    await system.endJob(null);
    await told('"cause":"unexpected"');
    await system.redis.hset(system.keys.endpoint(id), 'createdAt', 'canary');
    await system.endJob(null);
    await told('cannot be read');
  } finally {
    child.kill('SIGKILL');
    await exit;
    await system.close();
  }
  assert.match(output(), new RegExp(`"endpointId":"${id}"`), 'it says which endpoint');
  for (const hidden of ['canary', 'whsec_', '9912', signingKey, sealed]) {
    assert.ok(!output().includes(hidden), `${hidden} in ${output()}`);
  }
  for (const shown of [secret, JSON.parse(rotated.text).secret]) {
    assert.ok(!output().includes(shown.slice('whsec_'.length)), output());
  }
});

test('while Redis is away the process is not ready, shows its metrics, and still ends on SIGTERM', async () => {
  const own = await startTestRedis();
  const { child, exit, output } = startProcess({
    REDIS_URL: own.url,
    WEBHOOK_SIGNING_KEY: signingKey,
    SHUTDOWN_SECONDS: '1',
  });
  try {
    const started = await until('start', () => /"port":(\d+),"msg":"delivering/.exec(output()) ?? false);
    const port = Number(started[1]);
    await own.stop();
    await until('not ready', async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 503);
    assert.equal(await metric(port, ended('delivered')), 0);
    assert.equal(await metric(port, 'ocr_webhook_deliveries{state="waiting"}'), undefined);
    const begunMs = performance.now();
    child.kill('SIGTERM');
    await exit;
    assert.ok(performance.now() - begunMs < 3000, 'it took too long');
  } finally {
    child.kill('SIGKILL');
    await exit;
    await own.stop();
  }
});

test('without a signing key the process says so and exits 1', async () => {
  const { exit, output } = startProcess({ REDIS_URL: server.url, WEBHOOK_SIGNING_KEY: 'short' });
  assert.equal(await exit, 1);
  assert.match(output(), /WEBHOOK_SIGNING_KEY is set: expected at least 32 characters/);
  assert.doesNotMatch(output(), /short\b/);
});

test('a network that cannot be read stops the start', async () => {
  const { exit, output } = startProcess({
    REDIS_URL: server.url,
    WEBHOOK_SIGNING_KEY: signingKey,
    WEBHOOK_ALLOWED_CIDRS: '10.0.0.0',
  });
  assert.equal(await exit, 1);
  assert.match(output(), /expected a CIDR/);
});
