import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectConsumer } from '@glyphmill/queue/connection';
import { requireKeepingRedis, watchPolicy } from '@glyphmill/queue/redis-policy';
import { startTestRedis, until } from './queue-setup.ts';

const noFile = /keeps no append-only file/;

test('a process that runs tells once when Redis comes to lose jobs, and again when it does so anew', async () => {
  const server = await startTestRedis(['--maxmemory', '64mb']);
  const redis = connectConsumer(server.url, () => {});
  const warnings: string[] = [];
  const onWarning = (warning: string) => warnings.push(warning);
  const known = await requireKeepingRedis(redis, onWarning);
  assert.deepEqual(known, []);
  const policy = watchPolicy(redis, { onWarning, known, everyMs: 20 });
  try {
    for (const times of [1, 2]) {
      await redis.config('SET', 'appendonly', 'no');
      await until('warned', () => warnings.length === times);
      await redis.config('SET', 'appendonly', 'yes');
      await until('the file is seen again', () => seesAgain(redis));
    }
    assert.ok(warnings.every((warning) => noFile.test(warning)));
  } finally {
    policy.close();
    redis.disconnect();
    await server.stop();
  }
});

test('what was told at the start is not told again', async () => {
  const server = await startTestRedis(['--maxmemory', '64mb', '--appendonly', 'no']);
  const redis = connectConsumer(server.url, () => {});
  const warnings: string[] = [];
  const onWarning = (warning: string) => warnings.push(warning);
  const known = await requireKeepingRedis(redis, onWarning);
  const policy = watchPolicy(redis, { onWarning, known, everyMs: 20 });
  try {
    await seesAgain(redis);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', noFile);
  } finally {
    policy.close();
    redis.disconnect();
    await server.stop();
  }
});

/** After the watch has looked at least twice more, by the commands that Redis counts. */
async function seesAgain(redis: ReturnType<typeof connectConsumer>): Promise<true> {
  const looks = async () =>
    Number(/cmdstat_info:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
  const before = await looks();
  let own = 0;
  // A look is two calls.
  await until('it has looked', async () => {
    own += 1;
    return (await looks()) - before - own >= 6;
  });
  return true;
}
