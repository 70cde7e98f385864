import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newApiKey } from '@glyphmill/service/api-key';
import { type Stores, startStores } from './api-setup.ts';

const main = fileURLToPath(new URL('../../apps/api/src/main.ts', import.meta.url));
let stores: Stores;
before(async () => {
  stores = await startStores();
});
after(() => stores.stop());

function start(env: Record<string, string>) {
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    env: {
      PATH: process.env.PATH,
      ...stores.env,
      LOG_LEVEL: 'debug',
      API_PORT: '0',
      METRICS_PORT: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text) => {
      output.text += text;
    });
  }
  return { child, output };
}

async function listening(
  child: ChildProcess,
  output: { text: string },
): Promise<{ address: string; port: number }> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const line = output.text.split('\n').find((text) => text.includes('"the API listens"'));
    if (line !== undefined) return JSON.parse(line);
    assert.ok(Date.now() < deadline && child.exitCode === null, output.text);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('the process serves, logs neither documents nor keys, shows its metrics and ends at SIGTERM', async () => {
  const { key, entry } = newApiKey({ tenant: 'acme', scopes: ['admin'] });
  await writeFile(stores.env.API_KEYS_FILE, JSON.stringify([entry]));
  const secrets: string[] = [];
  const { child, output } = start({});
  try {
    const { address, port } = await listening(child, output);
    const data = Buffer.from('CANARY-document').toString('base64');
    const body = {
      source: { type: 'inline', contentType: 'image/png', data },
      metadata: { note: 'CANARY-metadata' },
      webhook: { url: 'https://example.com/CANARY-webhook' },
    };
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const post = (json: object) =>
      fetch(`${address}/v1/jobs`, {
        method: 'POST',
        headers,
        body: JSON.stringify(json),
      });
    assert.equal((await post(body)).status, 202);
    assert.equal((await post({ ...body, 'CANARY-field': 1 })).status, 400);
    assert.equal((await fetch(`${address}/v1/jobs?cursor=CANARY-cursor`, { headers })).status, 422);
    assert.equal(
      (await fetch(`${address}/v1/jobs`, { headers: { authorization: 'Bearer CANARY-key' } })).status,
      401,
    );

    const endpoint = await fetch(`${address}/v1/webhook-endpoints`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ url: 'https://example.com/CANARY-endpoint', description: 'CANARY-text' }),
    });
    const { id, secret }: { id: string; secret: string } = JSON.parse(await endpoint.text());
    const rotated = await fetch(`${address}/v1/webhook-endpoints/${id}/rotate-secret`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
    });
    secrets.push(secret, JSON.parse(await rotated.text()).secret);

    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    assert.match(metrics, /^ocr_queue_jobs\{state="waiting"\} 1$/m);
    assert.match(
      metrics,
      /^http_request_duration_seconds_count\{route="\/v1\/jobs",method="POST",status="202"\} 1$/m,
    );
    assert.match(metrics, /^ocr_api_refused_total\{reason="unknown-field"\} 1$/m);
    assert.match(metrics, /^nodejs_eventloop_lag_p99_seconds /m);
    assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
    assert.equal((await fetch(`${address}/metrics`)).status, 404, 'not on the public port');
  } finally {
    child.kill('SIGTERM');
  }
  const [code] = await once(child, 'exit');
  assert.equal(code, 0, output.text);
  for (const secret of [
    'CANARY',
    Buffer.from('CANARY-document').toString('base64'),
    key,
    stores.env.WEBHOOK_SIGNING_KEY,
    ...secrets,
  ]) {
    assert.ok(!output.text.includes(secret), output.text);
  }
  assert.match(output.text, /"tenant":"acme".*"request answered"/);
});

test('a key file that is none stops the start with a message that names it', async () => {
  await writeFile(stores.env.API_KEYS_FILE, '{}');
  const { child, output } = start({});
  const [code] = await once(child, 'exit');
  assert.equal(code, 1);
  assert.match(output.text, /API_KEYS_FILE .* is not a list of API keys/);
});
