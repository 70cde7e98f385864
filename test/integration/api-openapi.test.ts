import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { problems } from '@glyphmill/contract/problem';
import { z } from 'zod';
import { type Api, type Stores, startApi, startStores } from './api-setup.ts';

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

const operationSchema = z.object({
  operationId: z.string(),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  responses: z.record(
    z.string(),
    z.object({ description: z.string(), content: z.record(z.string(), z.unknown()).optional() }),
  ),
});
const documentSchema = z.object({
  openapi: z.string(),
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  webhooks: z.record(z.string(), z.unknown()),
  components: z.object({
    schemas: z.record(z.string(), z.unknown()),
    securitySchemes: z.record(z.string(), z.object({ type: z.string(), scheme: z.string() })),
  }),
});

async function getDocument() {
  const answer = await fetch(`${api.baseUrl}/openapi.json`);
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
  const text = await answer.text();
  return { text, ...documentSchema.parse(JSON.parse(text)) };
}

test('the document is OpenAPI 3.1, has every route with the scope it needs, and names the webhooks', async () => {
  const document = await getDocument();
  assert.match(document.openapi, /^3\.1\.\d+$/);
  const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { security }]) => {
      const scopes = security.flatMap(({ apiKey = [] }) => apiKey);
      return `${method.toUpperCase()} ${path} ${scopes.join() || 'public'}`;
    }),
  );
  assert.deepEqual(routes.sort(), [
    'DELETE /v1/jobs/{id} jobs:write',
    'DELETE /v1/webhook-endpoints/{id} webhooks:admin',
    'GET /livez public',
    'GET /readyz public',
    'GET /v1/batches jobs:read',
    'GET /v1/batches/{id} jobs:read',
    'GET /v1/batches/{id}/items jobs:read',
    'GET /v1/batches/{id}/results jobs:read',
    'GET /v1/dead-letters admin',
    'GET /v1/jobs jobs:read',
    'GET /v1/jobs/{id} jobs:read',
    'GET /v1/jobs/{id}/events jobs:read',
    'GET /v1/jobs/{id}/pages jobs:read',
    'GET /v1/jobs/{id}/pages/{number} jobs:read',
    'GET /v1/jobs/{id}/result jobs:read',
    'GET /v1/limits jobs:read',
    'GET /v1/models jobs:read',
    'GET /v1/queues admin',
    'GET /v1/queues/{name}/scaling scaling:read',
    'GET /v1/stats admin',
    'GET /v1/usage jobs:read',
    'GET /v1/webhook-endpoints webhooks:admin',
    'GET /v1/webhook-endpoints/{id} webhooks:admin',
    'GET /v1/webhook-endpoints/{id}/deliveries webhooks:admin',
    'GET /v1/webhook-secret webhooks:admin',
    'PATCH /v1/webhook-endpoints/{id} webhooks:admin',
    'POST /v1/batches jobs:write',
    'POST /v1/batches/{id}/cancel jobs:write',
    'POST /v1/batches/{id}/retry-failed jobs:write',
    'POST /v1/dead-letters/redrive admin',
    'POST /v1/jobs jobs:write',
    'POST /v1/jobs/{id}/cancel jobs:write',
    'POST /v1/jobs/{id}/retry jobs:write',
    'POST /v1/queues/{name}/pause admin',
    'POST /v1/queues/{name}/resume admin',
    'POST /v1/recognize jobs:write',
    'POST /v1/uploads jobs:write',
    'POST /v1/webhook-deliveries/{id}/redeliver webhooks:admin',
    'POST /v1/webhook-endpoints webhooks:admin',
    'POST /v1/webhook-endpoints/{id}/rotate-secret webhooks:admin',
    'POST /v1/webhook-endpoints/{id}/test webhooks:admin',
  ]);
  assert.deepEqual(document.components.securitySchemes.apiKey?.scheme, 'bearer');
  const bodies = Object.entries(document.webhooks).map(
    ([name, webhook]) => `${name} ${/schemas\/(\w+)/.exec(JSON.stringify(webhook))?.[1]}`,
  );
  assert.deepEqual(bodies, [
    'jobEnded JobEvent',
    'batchCompleted BatchEvent',
    'endpointDisabled EndpointDisabledEvent',
    'ping PingEvent',
  ]);
});

test('every problem code is documented with some route, under its own status', async () => {
  const { paths } = await getDocument();
  const documented = new Set<string>();
  for (const operation of Object.values(paths).flatMap((operations) => Object.values(operations))) {
    for (const [status, { description, content }] of Object.entries(operation.responses)) {
      if (content?.['application/problem+json'] === undefined) continue;
      for (const [, code = ''] of description.matchAll(/`([a-z-]+)`/g)) {
        documented.add(code);
        assert.equal(
          String(Object.entries(problems).find(([name]) => name === code)?.[1].status),
          status,
          code,
        );
      }
    }
  }
  assert.deepEqual([...documented].sort(), Object.keys(problems).sort());
});

test('every reference leads somewhere, and every schema is used', async () => {
  const { text, components } = await getDocument();
  const named = new Set(
    [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name),
  );
  assert.deepEqual([...named].sort(), Object.keys(components.schemas).sort());
});

test('the pages under /docs load from this server alone', async () => {
  const page = await fetch(`${api.baseUrl}/docs`);
  assert.equal(page.status, 200);
  const html = await page.text();
  const policy = page.headers.get('content-security-policy') ?? '';
  assert.ok(!/https?:/.test(policy), policy);
  const addresses = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address ?? '');
  assert.ok(addresses.length > 3);
  for (const address of addresses) {
    const url = new URL(address, page.url);
    assert.equal(url.origin, api.baseUrl);
    const answer = await fetch(url);
    assert.equal(answer.status, 200, address);
    if (address.endsWith('initializer.js')) assert.match(await answer.text(), /"validatorUrl":null/);
    else await answer.arrayBuffer();
  }
});
