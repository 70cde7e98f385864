import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connectProducer, connectSubscriber, ready } from '@glyphmill/queue/connection';
import { type FaultProxy, startProxy } from '../faults/proxy.ts';
import { type RedisServer, startRedisServer } from '../faults/redis-server.ts';
import { until } from './queue-setup.ts';

let dir: string;
let redis: RedisServer;
let proxy: FaultProxy;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'glyphmill-silence-'));
  redis = await startRedisServer(dir);
  proxy = await startProxy(redis.port);
});
after(async () => {
  await proxy?.close();
  await redis?.stop();
  await rm(dir, { recursive: true, force: true });
});

const deadlineMs = 20_000;

test('connections that were cut without a word are made anew', async () => {
  const url = `redis://127.0.0.1:${proxy.port}`;
  const producer = connectProducer(url, () => {});
  const subscriber = connectSubscriber(url, () => {});
  try {
    await ready(producer, deadlineMs);
    const heard: string[] = [];
    subscriber.on('message', (_channel, message) => heard.push(message));
    await subscriber.subscribe('news');
    proxy.silence();
    await assert.rejects(producer.ping(), /Command timed out/);
    const answers = () =>
      producer.ping().then(
        () => true,
        () => false,
      );
    await until('the producer is answered', answers, deadlineMs);
    const hears = async () => {
      await redis.client.publish('news', 'still there?');
      return heard.length > 0;
    };
    await until('the subscriber hears what is published', hears, deadlineMs);
  } finally {
    producer.disconnect();
    subscriber.disconnect();
  }
});
