import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectProducer, connectSubscriber, ready } from '@glyphmill/queue/connection';
import { type ProxiedRedis, startProxiedRedis } from './proxied-redis.ts';
import { until } from './queue-setup.ts';

let server: ProxiedRedis;
before(async () => {
  server = await startProxiedRedis();
});
after(() => server?.stop());

const deadlineMs = 20_000;

test('connections that were cut without a word are made anew', async () => {
  const url = server.urls.far;
  const producer = connectProducer(url, () => {});
  const subscriber = connectSubscriber(url, () => {});
  try {
    await ready(producer, deadlineMs);
    const heard: string[] = [];
    subscriber.on('message', (_channel, message) => heard.push(message));
    await subscriber.subscribe('news');
    server.proxy.silence();
    await assert.rejects(producer.ping(), /Command timed out/);
    const answers = () =>
      producer.ping().then(
        () => true,
        () => false,
      );
    await until('the producer is answered', answers, deadlineMs);
    const hears = async () => {
      await server.redis.client.publish('news', 'still there?');
      return heard.length > 0;
    };
    await until('the subscriber hears what is published', hears, deadlineMs);
  } finally {
    producer.disconnect();
    subscriber.disconnect();
  }
});
