import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../integration/queue-setup.ts';
import { type FaultProxy, startProxy } from './proxy.ts';

/** Answers each byte with itself, and remembers what came. */
const arrived: string[] = [];
const echo = createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    arrived.push(bytes.toString());
    socket.write(bytes);
  });
});
let echoPort = 0;
let proxy: FaultProxy;
const clients: Client[] = [];

interface Client {
  socket: Socket;
  received: () => string;
  /** The code of the error that ended it, or 'closed'. */
  ended: Promise<string>;
}

before(async () => {
  echoPort = await listen(echo);
});
beforeEach(async () => {
  arrived.length = 0;
  proxy = await startProxy(echoPort);
});
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  await proxy.close();
});
after(() => echo.close());

async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  return address.port;
}

async function open(): Promise<Client> {
  const socket = connect(proxy.port, '127.0.0.1');
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes;
  });
  const ended = new Promise<string>((resolve) => {
    socket.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    socket.once('close', () => resolve('closed'));
  });
  const client = { socket, received: () => text, ended };
  clients.push(client);
  await Promise.race([once(socket, 'connect'), ended]);
  return client;
}

async function answered(client: Client, text: string): Promise<number> {
  const begunMs = performance.now();
  client.socket.write(text);
  await until(`the answer to ${text}`, () => client.received().includes(text));
  return performance.now() - begunMs;
}

test('bytes pass both ways, and to another server when that is the target', async () => {
  const client = await open();
  await answered(client, 'one');
  const other = createServer((socket) => void socket.end('other'));
  proxy.target(await listen(other));
  const second = await open();
  assert.equal(await second.ended, 'closed');
  assert.equal(second.received(), 'other');
  await answered(client, 'two');
  other.close();
});

test('latency is added to each way and bytes that follow each other do not wait for one another', async () => {
  const client = await open();
  proxy.travel({ latencyMs: 150, jitterMs: 20 });
  const tookMs = await answered(client, 'slow');
  assert.ok(tookMs >= 260, `${tookMs} ms`);
  const begunMs = performance.now();
  for (let turn = 0; turn < 10; turn += 1) {
    client.socket.write(`<${turn}>`);
    await delay(20);
  }
  await until('the last answer', () => client.received().includes('<9>'));
  assert.ok(performance.now() - begunMs < 10 * 260, 'ten exchanges overlap');
});

test('a rate holds', async () => {
  const client = await open();
  proxy.travel({ bytesPerSecond: 10_000 });
  assert.ok((await answered(client, 'x'.repeat(5000))) >= 450);
});

test('refused connections are refused, and open ones are reset', async () => {
  const client = await open();
  await proxy.refuse();
  assert.equal(await client.ended, 'ECONNRESET');
  assert.equal(await (await open()).ended, 'ECONNREFUSED');
  await proxy.restore();
  await answered(await open(), 'again');
});

test('a hanging connection is taken and never answers, and older ones work on', async () => {
  const old = await open();
  await answered(old, 'old');
  proxy.hang();
  const client = await open();
  client.socket.write('hello?');
  await answered(old, 'still');
  assert.deepEqual(arrived, ['old', 'still']);
  await proxy.restore();
  await answered(await open(), 'new');
  assert.equal(client.received(), '');
});

test('what is held arrives later, in order', async () => {
  const client = await open();
  proxy.hold();
  client.socket.write('first,');
  await delay(100);
  client.socket.write('second');
  await delay(100);
  assert.deepEqual(arrived, []);
  await proxy.restore();
  await until('both', () => client.received() === 'first,second');
});

test('what is silenced vanishes and its connection stays open; a new one works', async () => {
  const client = await open();
  await answered(client, 'heard');
  proxy.silence();
  client.socket.write('unheard');
  await answered(await open(), 'other');
  assert.equal(client.socket.destroyed, false);
  assert.deepEqual(arrived, ['heard', 'other']);
});

test('a reset ends every open connection and no new one', async () => {
  const client = await open();
  proxy.reset();
  assert.equal(await client.ended, 'ECONNRESET');
  await answered(await open(), 'new');
});

test('a connection is cut after the bytes of answers it may give', async () => {
  const client = await open();
  await answered(client, 'before');
  proxy.cutAfter(4);
  client.socket.write('0123456789');
  assert.equal(await client.ended, 'closed');
  assert.equal(client.received(), 'before0123');
});

test('a trap before a request keeps it from arriving until it is released', async () => {
  const client = await open();
  const trap = proxy.trap(/needle/, 'before');
  await answered(client, 'hay,');
  // In two pieces, as a network may deliver it.
  client.socket.write('nee');
  await until('the first piece', () => client.received().endsWith('nee'));
  client.socket.write('dle');
  await trap.seen;
  await answered(await open(), 'others pass');
  assert.ok(!arrived.join('').includes('needle'));
  trap.release();
  await until('it passed', () => client.received().endsWith('needle'));
});

test('a trap after a request lets it arrive and keeps the answer, once', async () => {
  const client = await open();
  const trap = proxy.trap(/needle/, 'after');
  client.socket.write('needle');
  await trap.seen;
  await until('it arrived', () => arrived.includes('needle'));
  await delay(50);
  assert.equal(client.received(), '');
  trap.release();
  await until('its answer', () => client.received() === 'needle');
  await answered(client, 'needle again');
});
