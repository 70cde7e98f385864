import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { startTestRedis, until } from './queue-setup.ts';
import { ended, metric, openInstallation, startReceiver, verified } from './webhook-setup.ts';

let server: Awaited<ReturnType<typeof startTestRedis>>;
let installation: Awaited<ReturnType<typeof openInstallation>>;
const receivers: { close(): Promise<void> }[] = [];

before(async () => {
  server = await startTestRedis();
});
after(() => server.stop());
beforeEach(async () => {
  installation = await openInstallation(server.url);
});
afterEach(async () => {
  await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
  await installation.close();
});

const receive = async (...options: Parameters<typeof startReceiver>) => {
  const receiver = await startReceiver(...options);
  receivers.push(receiver);
  return receiver;
};

test('the end of a job reaches its receiver, signed so that standardwebhooks verifies it', async () => {
  const receiver = await receive();
  await installation.startApp();
  const jobId = await installation.endJob(receiver.url, { tenant: 'beta' });
  const [request] = await until('delivery', () => receiver.requests.length > 0 && receiver.requests);
  assert.ok(request !== undefined, 'it is there');
  const event = verified(request, 'beta');
  assert.ok(typeof event === 'object' && event !== null && 'timestamp' in event, 'it is there');
  assert.deepEqual(event, {
    type: 'job.succeeded',
    timestamp: event.timestamp,
    data: {
      jobId,
      status: 'succeeded',
      metadata: { ref: '9912' },
      pages: 3,
      result: `/v1/jobs/${jobId}/result`,
      error: null,
    },
  });
  assert.throws(() => verified(request, 'acme'), 'another tenant’s secret');
  assert.equal(request.headers['content-type'], 'application/json');
  assert.match(request.headers['user-agent'] ?? '', /^Glyphmill\/\d+\.\d+\.\d+$/);
  assert.match(request.id, /^evt_/);
});

test('a failed job is told with its failure', async () => {
  const receiver = await receive();
  await installation.startApp();
  const failure = {
    code: 'corrupt-document',
    message: 'cut short',
    retryable: false,
    phase: 'decode',
  } as const;
  await installation.endJob(receiver.url, { outcome: { status: 'failed', failure } });
  const [request] = await until('delivery', () => receiver.requests.length > 0 && receiver.requests);
  assert.ok(request !== undefined, 'it is there');
  const { type, data } = JSON.parse(request.body);
  assert.deepEqual([type, data.error, data.result], ['job.failed', failure, null]);
});

test('after a 500 and after a drop before the answer the same event comes again under the same id', async () => {
  const receiver = await receive((response, turn) => {
    if (turn === 1) response.writeHead(500).end('broken');
    else if (turn === 2) response.destroy();
    else response.writeHead(200).end('ok');
  });
  const app = await installation.startApp();
  await installation.endJob(receiver.url);
  await until('delivery', async () => (await metric(app.metricsPort, ended('delivered'))) === 1);
  assert.equal(receiver.requests.length, 3);
  assert.equal(new Set(receiver.requests.map(({ id }) => id)).size, 1);
  assert.equal(new Set(receiver.requests.map(({ body }) => body)).size, 1);
  for (const request of receiver.requests) verified(request);
  assert.equal(await metric(app.metricsPort, ended('retry')), 2);
});

test('a receiver that is not there yet gets its event when it is', async () => {
  const gone = await startReceiver();
  await gone.close();
  const app = await installation.startApp({ delaysMs: Array(200).fill(20) });
  await installation.endJob(gone.url);
  await until('refusal', async () => ((await metric(app.metricsPort, ended('retry'))) ?? 0) > 1);
  const receiver = await receive(undefined, { port: gone.port });
  await until('delivery', () => receiver.requests.length === 1);
});

test('Retry-After puts the next attempt off, and never brings it forward', async () => {
  const asking = await receive((response, turn) => {
    response.writeHead(turn === 1 ? 429 : 200, { 'retry-after': '1' }).end();
  });
  const hasty = await receive((response, turn) => {
    response.writeHead(turn === 1 ? 503 : 200, { 'retry-after': '0' }).end();
  });
  await installation.startApp({ delaysMs: [400] });
  await Promise.all([installation.endJob(asking.url), installation.endJob(hasty.url)]);
  for (const [receiver, leastMs] of [
    [asking, 1000],
    [hasty, 400],
  ] as const) {
    await until('second attempt', () => receiver.requests.length === 2);
    const [first, second] = receiver.requests;
    assert.ok(first !== undefined && second !== undefined, 'it is there');
    // Redis counts whole milliseconds.
    assert.ok(second.atMs - first.atMs >= leastMs - 5, `after ${second.atMs - first.atMs} ms`);
  }
});

test('a redirect is a failure and is not followed', async () => {
  const target = await receive();
  const receiver = await receive((response, turn) => {
    if (turn === 1) response.writeHead(302, { location: target.url }).end();
    else response.writeHead(200).end();
  });
  await installation.startApp();
  await installation.endJob(receiver.url);
  await until('second attempt', () => receiver.requests.length === 2);
  assert.equal(target.requests.length, 0);
});

test('410 ends the delivery at once', async () => {
  const receiver = await receive((response) => response.writeHead(410).end());
  const app = await installation.startApp();
  await installation.endJob(receiver.url);
  await until('end', async () => (await metric(app.metricsPort, ended('given-up'))) === 1);
  assert.equal(await metric(app.metricsPort, ended('retry')), 0);
  assert.equal(receiver.requests.length, 1);
});

test('a delivery is given up when its attempts are spent', async () => {
  const receiver = await receive((response) => response.writeHead(404).end());
  const app = await installation.startApp({ delaysMs: [10, 10] });
  await installation.endJob(receiver.url);
  await until('end', async () => (await metric(app.metricsPort, ended('given-up'))) === 1);
  assert.equal(receiver.requests.length, 3);
  assert.equal(await metric(app.metricsPort, ended('retry')), 2);
});

test('receivers that never end are cut off at the deadline, and delay nobody else', async () => {
  const timers: NodeJS.Timeout[] = [];
  const silent = await receive(() => {});
  const drippingBody = await receive((response) => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    timers.push(setInterval(() => response.write('.'), 20));
  });
  const endless = await receive((response) => {
    response.writeHead(200);
    const pour = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384)));
    };
    response.on('drain', pour);
    pour();
  });
  const drippingHead = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 200 OK\r\n');
    timers.push(setInterval(() => !socket.destroyed && socket.write('x: y\r\n'), 20));
  });
  const port = await listenRaw(drippingHead, '127.0.0.1');
  const fast = await receive();
  try {
    const app = await installation.startApp({ delaysMs: [], env: { WEBHOOK_CONCURRENCY: '16' } });
    const begunMs = performance.now();
    for (const url of [silent.url, `http://127.0.0.1:${port}/`, drippingBody.url, endless.url]) {
      await installation.endJob(url);
    }
    await installation.endJob(fast.url);
    await until('the fast one', () => fast.requests.length === 1, 900);
    await until(
      'the two that acknowledged',
      async () => (await metric(app.metricsPort, ended('delivered'))) === 3,
    );
    await until('the two that did not', async () => (await metric(app.metricsPort, ended('given-up'))) === 2);
    const tookMs = performance.now() - begunMs;
    assert.ok(tookMs < 2500, `${tookMs} ms with a deadline of 1000`);
  } finally {
    for (const timer of timers) clearInterval(timer);
    drippingHead.close();
  }
});

test('one host gets a quarter of the places; its line waits without spending attempts', async () => {
  let open = 0;
  let most = 0;
  const slow = await receive((response) => {
    open += 1;
    most = Math.max(most, open);
    setTimeout(() => {
      open -= 1;
      response.writeHead(200).end();
    }, 200);
  });
  const fast = await receive();
  const app = await installation.startApp({ delaysMs: [], env: { WEBHOOK_CONCURRENCY: '8' } });
  await Promise.all(Array.from({ length: 12 }, () => installation.endJob(slow.url)));
  await until('the slow host is busy', () => most === 2);
  await installation.endJob(fast.url);
  await until('the fast one', () => fast.requests.length === 1, 500);
  assert.ok(slow.requests.length < 12, 'the slow host still has a line');
  await until('all', async () => (await metric(app.metricsPort, ended('delivered'))) === 13);
  assert.equal(most, 2);
  assert.equal(new Set(slow.requests.map(({ id }) => id)).size, 12);
  assert.equal(slow.requests.length, 12);
});

test('a name that resolves to an address that is not allowed is never connected to, and asked again', async () => {
  const inner = await receive();
  const outer = await receive(undefined, { host: '127.0.0.2', port: inner.port });
  const answers = [['127.0.0.1'], ['127.0.0.2', '127.0.0.1'], [], ['127.0.0.2'], ['127.0.0.1']];
  let asked = 0;
  const app = await installation.startApp({
    delaysMs: Array(5).fill(20),
    env: { WEBHOOK_ALLOWED_CIDRS: '127.0.0.2/32' },
    async resolve(hostname) {
      assert.equal(hostname, 'hooks.example');
      const answer = answers[asked] ?? [];
      asked += 1;
      if (answer.length === 0) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
      return answer;
    },
  });
  await installation.endJob(`http://hooks.example:${inner.port}/hook?token=1`);
  await until('delivery', async () => (await metric(app.metricsPort, ended('delivered'))) === 1);
  // Once per attempt: what was vetted is what was connected to.
  assert.equal(asked, 4);
  assert.equal(inner.requests.length, 0);
  assert.equal(outer.requests.length, 1);
  assert.equal(outer.requests[0]?.headers.host, `hooks.example:${inner.port}`);
  assert.equal(outer.requests[0]?.url, '/hook?token=1');
});

test('a literal address that is not allowed and a protocol that is not end the delivery at once', async () => {
  const receiver = await receive();
  const app = await installation.startApp({ env: { WEBHOOK_ALLOWED_CIDRS: '127.0.0.2/32' } });
  await installation.endJob(receiver.url);
  await installation.endJob(`http://[::1]:${receiver.port}/`);
  await installation.endJob('ftp://127.0.0.2/');
  await until('ends', async () => (await metric(app.metricsPort, ended('given-up'))) === 3);
  const strict = await openInstallation(server.url);
  try {
    const httpsOnly = await strict.startApp({ env: { WEBHOOK_ALLOW_HTTP: '' } });
    await strict.endJob(receiver.url);
    await until('end', async () => (await metric(httpsOnly.metricsPort, ended('given-up'))) === 1);
  } finally {
    await strict.close();
  }
  assert.equal(receiver.requests.length, 0);
});

test('over TLS the vetted address is called, and asked for by the name', async () => {
  const raw = createServer();
  const port = await listenRaw(raw, '127.0.0.3');
  const app = await installation.startApp({ delaysMs: [], resolve: async () => ['127.0.0.3'] });
  await installation.endJob(`https://hooks.example:${port}/`);
  const [socket] = await once(raw, 'connection');
  const [hello] = await once(socket, 'data');
  assert.ok(hello.includes('hooks.example'), 'the name in the ClientHello');
  socket.destroy();
  await until('end', async () => (await metric(app.metricsPort, ended('given-up'))) === 1);
  raw.close();
});

async function listenRaw(raw: Server, host: string): Promise<number> {
  raw.listen(0, host);
  await once(raw, 'listening');
  const bound = raw.address();
  assert.ok(typeof bound === 'object' && bound !== null, 'it is there');
  return bound.port;
}
