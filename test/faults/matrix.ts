import type { Group } from './row.ts';
import * as clock from './rows-clock.ts';
import * as corpus from './rows-corpus.ts';
import * as data from './rows-data.ts';
import * as decoder from './rows-decoder.ts';
import * as durability from './rows-durability.ts';
import * as failover from './rows-failover.ts';
import * as killed from './rows-killed.ts';
import * as limits from './rows-limits.ts';
import * as model from './rows-model.ts';
import * as producer from './rows-producer.ts';
import * as redis from './rows-redis.ts';
import * as full from './rows-redis-full.ts';
import * as rollout from './rows-rollout.ts';
import * as s3 from './rows-s3.ts';
import * as webhook from './rows-webhook.ts';
import * as zombie from './rows-zombie.ts';

/** All rows of the fault matrix, by the system they share. */
export const matrix: readonly Group[] = [
  { name: 'killed', rows: [killed.killedDuringDecode, killed.killedAfterCommit, killed.killedBeforeCommit] },
  { name: 'zombie', env: zombie.zombieEnvironment, rows: [zombie.stopped, zombie.blocked] },
  {
    name: 'decoder',
    env: () => decoder.decoderEnvironment,
    rows: [decoder.decoderSegfault, decoder.decoderHangs, decoder.decoderMemory],
  },
  {
    name: 'rollout',
    env: () => rollout.rolloutEnvironment,
    rows: [rollout.rollingDeploy, rollout.stoppedWithoutRedis],
  },
  {
    name: 'redis',
    rows: [
      redis.redisKilled,
      redis.connectionsReset,
      redis.connectionsRefused,
      redis.connectionsSilent,
      redis.redisFrozen,
      redis.slowNetwork,
      full.redisMemory,
      durability.snapshotsOnly,
      durability.powerLoss,
      full.redisDisk,
      // Last, as after three deaths the next start waits.
      killed.killedThrice,
    ],
  },
  { name: 'failover', rows: [failover.failover] },
  {
    name: 'model',
    env: model.faultyModelEnvironment,
    canary: { text: undefined },
    rows: [model.modelFails],
  },
  {
    name: 's3',
    env: () => s3.s3Environment,
    rows: [
      s3.storeErrors,
      s3.storeSilent,
      s3.storeDrips,
      s3.storeDamages,
      s3.objectChanges,
      s3.accessRefused,
      s3.resultRefused,
    ],
  },
  {
    name: 'webhook',
    env: webhook.webhookEnvironment,
    rows: [
      webhook.receiverDown,
      webhook.receiverRefuses,
      webhook.receiverDrops,
      webhook.receiverStalls,
      webhook.namesChange,
    ],
  },
  {
    name: 'producer',
    rows: [producer.sentManyTimes, producer.apiKilledAfterCreate, data.newerProducer, data.damagedJob],
  },
  {
    name: 'machine',
    env: limits.leakingEnvironment,
    rows: [clock.clockWrong, limits.temporaryFull, limits.memoryLimited, limits.filesLimited],
  },
  { name: 'corpus', rows: [corpus.hostileBatch] },
];
