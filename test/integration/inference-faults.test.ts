import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BatchEvent } from '@glyphmill/inference/batch-event';
import { regroup } from '@glyphmill/inference/isolation';
import { openModels } from '@glyphmill/inference/models';
import fc from 'fast-check';
import { greyLine, writeTinyModel } from './inference-onnx.ts';
import { isAlive, newRepository, pidsOf, quietLog, sampleLines, until } from './inference-samples.ts';

describe('instances that fail', () => {
  let repository = '';

  before(async () => {
    repository = await newRepository();
    await writeTinyModel(repository, { name: 'plain', kind: 'plain' });
    await writeTinyModel(repository, { name: 'nan', kind: 'nan' });
    await writeTinyModel(repository, { name: 'hang', kind: 'hang' });
  });

  after(() => rm(repository, { recursive: true }));

  const open = (recognize: string, options: Partial<Parameters<typeof openModels>[0]> = {}) =>
    openModels({ repository, names: { recognize }, provider: 'cpu', log: quietLog(), ...options });

  it('lose none of 2,000 lines and read none twice while they are killed and stopped, and soon are as many again', async (t) => {
    const events: (BatchEvent & { atMs: number })[] = [];
    const models = await open('plain', {
      instances: { recognize: 2 },
      onBatch: (event) => events.push({ ...event, atMs: performance.now() }),
    });
    const total = 2000;
    let asked = 0;
    const answers = new Map<number, string>();
    let isOver = false;
    const reader = async () => {
      while (!isOver || asked < total) {
        const number = asked++;
        const { reading } = await models.recognize(greyLine(number % 256));
        assert.ok(!answers.has(number));
        answers.set(number, reading.text);
      }
    };
    try {
      const readers = Promise.all(Array.from({ length: 16 }, reader));
      const isBack = async (signal: NodeJS.Signals, instance: number) => {
        const pid = models
          .states()
          .find((state) => state.model === 'plain' && state.instance === instance)?.pid;
        assert.ok(pid);
        const before = answers.size;
        const atMs = performance.now();
        process.kill(pid, signal);
        const runsAgain = () => {
          const state = models
            .states()
            .find((state) => state.model === 'plain' && state.instance === instance);
          return (
            state?.pid !== pid &&
            events.some(
              (event) =>
                event.instance === instance &&
                event.outcome === 'done' &&
                event.atMs - event.runSeconds * 1000 > atMs + 100,
            )
          );
        };
        await until(`instance ${instance} reads lines again after ${signal}`, runsAgain, 20_000);
        assert.ok(answers.size > before, 'the other instance went on');
        t.diagnostic(`${signal}: both instances read again after ${Math.round(performance.now() - atMs)} ms`);
      };
      await until('lines are read', () => answers.size > 100);
      await isBack('SIGKILL', 0);
      await isBack('SIGSTOP', 1);
      await isBack('SIGKILL', 1);
      isOver = true;
      await readers;
      assert.ok(asked >= total);
      assert.equal(answers.size, asked);
      assert.ok([...answers.values()].every((text) => text === 'a'));
      const done = events.filter(({ outcome }) => outcome === 'done');
      assert.equal(
        done.reduce((sum, { size }) => sum + size, 0),
        asked,
        'each line was in one finished micro-batch',
      );
    } finally {
      isOver = true;
      await models.close(0);
    }
  });

  it('read each line alike before and after they are killed and stopped', async () => {
    const events: BatchEvent[] = [];
    const models = await open('ppocrv4-rec', {
      instances: { recognize: 2 },
      onBatch: (event) => events.push(event),
    });
    try {
      const lines = (await sampleLines(models, 'letter.png')).filter(({ width }) => width <= 320);
      const expected = await Promise.all(lines.map((line) => models.recognize(line)));
      events.length = 0;
      const total = 240;
      const answers = new Map<number, number>();
      const runs = Array.from({ length: total }, async (_, i) => {
        const { reading } = await models.recognize(lines[i % lines.length] ?? greyLine(0));
        answers.set(i, (answers.get(i) ?? 0) + 1);
        assert.deepEqual(reading, expected[i % lines.length]?.reading);
      });
      const all = Promise.all(runs);
      for (const [signal, share] of [
        ['SIGKILL', 0.1],
        ['SIGSTOP', 0.3],
        ['SIGKILL', 0.6],
      ] as const) {
        const isBusy = () =>
          models.states().find(({ model, status }) => model === 'ppocrv4-rec' && status === 'busy');
        await until(
          `${share} of the lines are read`,
          () => answers.size >= total * share && isBusy() !== undefined,
        );
        const pid = isBusy()?.pid;
        assert.ok(pid);
        process.kill(pid, signal);
      }
      await all;
      assert.equal(answers.size, total);
      assert.ok([...answers.values()].every((count) => count === 1));
      const done = events
        .filter(({ outcome }) => outcome === 'done')
        .reduce((sum, { size }) => sum + size, 0);
      assert.equal(done, total, 'each line was in one finished micro-batch');
      assert.ok(events.filter(({ outcome }) => outcome === 'instance-lost').length >= 2);
      await until('both instances are back', () => models.states().every(({ status }) => status === 'idle'));
    } finally {
      await models.close(0);
    }
  });

  it('fail only the line whose output is not a number', async () => {
    const models = await open('nan');
    try {
      const greys = [128, 130, 0, 140];
      const results = await Promise.allSettled(greys.map((grey) => models.recognize(greyLine(grey))));
      assert.deepEqual(
        results.map(({ status }) => status),
        ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
      );
      await assert.rejects(models.recognize(greyLine(0)), {
        name: 'ModelError',
        code: 'bad-output',
        permanent: true,
      });
      assert.equal((await models.recognize(greyLine(128))).reading.text, 'a');
      assert.ok(models.states().every(({ restarts }) => restarts === 0));
    } finally {
      await models.close(0);
    }
  });

  it('fail only the line that hangs its instance, within bounded runs', async () => {
    const events: BatchEvent[] = [];
    const models = await open('hang', {
      limits: { runTimeoutMs: 1500 },
      onBatch: (event) => events.push(event),
    });
    try {
      const greys = [100, 255, 120, 130];
      const results = await Promise.allSettled(greys.map((grey) => models.recognize(greyLine(grey))));
      assert.deepEqual(
        results.map(({ status }) => status),
        ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
      );
      const lost = events.filter(({ outcome }) => outcome === 'instance-lost');
      assert.deepEqual(
        lost.map(({ size }) => size),
        [4, 4, 2, 1],
      );
      const [, poison] = results;
      assert.equal(poison?.status === 'rejected' && poison.reason.code, 'crashes-instance');
    } finally {
      await models.close(0);
    }
  });

  it('answer queue-timeout for a line that waited longer than its queue policy allows', async () => {
    await writeTinyModel(repository, {
      name: 'impatient',
      kind: 'hang',
      maxBatchSize: 1,
      extra: 'dynamic_batching { default_queue_policy { default_timeout_microseconds: 100000 } }',
    });
    const models = await open('impatient', { instances: { recognize: 1 }, limits: { runTimeoutMs: 1500 } });
    try {
      const hanging = assert.rejects(models.recognize(greyLine(255)), { code: 'crashes-instance' });
      await assert.rejects(models.recognize(greyLine(100)), { code: 'queue-timeout', permanent: false });
      await hanging;
      await until('the instance is back', () => models.states().every(({ status }) => status === 'idle'));
      assert.equal((await models.recognize(greyLine(100))).reading.text, 'a');
    } finally {
      await models.close(0);
    }
  });

  it('answer no-instance once the last one failed to start again too often', async () => {
    await writeTinyModel(repository, { name: 'changed', kind: 'hang' });
    const limits = { maxFailedStarts: 2, restartDelayMs: 1 };
    const models = await open('changed', { instances: { recognize: 1 }, limits });
    try {
      await writeFile(join(repository, 'changed/1/model.onnx'), 'other weights');
      const waiting = assert.rejects(models.recognize(greyLine(255)), {
        code: 'no-instance',
        permanent: false,
      });
      await until('the run is under way', () => models.states().some(({ status }) => status === 'busy'));
      process.kill(pidsOf(models, 'changed')[0] ?? 0, 'SIGKILL');
      await waiting;
      await assert.rejects(models.recognize(greyLine(100)), { code: 'no-instance' });
      assert.ok(models.states().some(({ model, status }) => model === 'changed' && status === 'dead'));
    } finally {
      await models.close(0);
    }
  });

  it('are recycled between micro-batches when their memory passed the bound', async () => {
    const models = await open('ppocrv4-rec', {
      instances: { recognize: 1 },
      limits: { instanceMemoryBytes: 1 },
    });
    try {
      const { height, maxWidth } = models.lineSize;
      const wide = { width: maxWidth, height, data: new Uint8Array(maxWidth * height * 3).fill(200) };
      const [before] = pidsOf(models, 'ppocrv4-rec');
      const read = await Promise.all(Array.from({ length: 8 }, () => models.recognize(wide)));
      assert.equal(read.length, 8);
      const recycled = () =>
        models.states().some(({ model, restarts }) => model === 'ppocrv4-rec' && restarts > 0);
      await until('the instance is recycled', recycled);
      await until('it is idle', () => models.states().every(({ status }) => status === 'idle'));
      assert.notEqual(pidsOf(models, 'ppocrv4-rec')[0], before);
      assert.ok(before !== undefined && !isAlive(before));
    } finally {
      await models.close(0);
    }
  });

  it('die with their parent, also in the middle of a run that never ends', async () => {
    const program = fileURLToPath(new URL('./inference-host.ts', import.meta.url));
    const host = spawn(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), program, repository, 'hang'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const [output] = await once(host.stdout.setEncoding('utf8'), 'data');
    const pids: number[] = JSON.parse(output);
    assert.ok(pids.length >= 2 && pids.every(isAlive));
    host.kill('SIGKILL');
    await until('the instances are gone', () => !pids.some(isAlive), 5000);
  });
});

describe('regrouping a failed micro-batch', () => {
  it('ends, dooms the poison items alone, and reads all others', () => {
    const failures = fc.constantFrom('model-error' as const, 'instance-lost' as const);
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 64 }), failures, (poison, failure) => {
        const items = poison.map((isPoison, id) => ({ id, isPoison, losses: 0 }));
        const queue = [items];
        const read = new Set<number>();
        const failed = new Set<number>();
        let runs = 0;
        for (let group = queue.shift(); group; group = queue.shift()) {
          runs++;
          if (!group.some(({ isPoison }) => isPoison)) {
            for (const { id } of group) read.add(id);
            continue;
          }
          if (failure === 'instance-lost') for (const item of group) item.losses++;
          const { groups, doomed } = regroup(group, failure, 3);
          for (const { id } of doomed) failed.add(id);
          queue.push(...groups);
        }
        assert.deepEqual(
          items.filter(({ isPoison }) => isPoison).map(({ id }) => id),
          [...failed].sort((a, b) => a - b),
        );
        assert.equal(read.size + failed.size, items.length);
        const poisoned = failed.size;
        assert.ok(runs <= 2 + poisoned * (2 * Math.ceil(Math.log2(items.length + 1)) + 3), `${runs} runs`);
      }),
    );
  });
});
