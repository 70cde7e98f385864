import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import type { LineCrop } from '@glyphmill/core/rectify';
import type { BatchEvent } from '@glyphmill/inference/batch-event';
import { ModelError } from '@glyphmill/inference/model-error';
import { type Models, openModels } from '@glyphmill/inference/models';
import { isAlive, newRepository, pidsOf, quietLog, sampleLines, until } from './inference-samples.ts';

describe('the default models', () => {
  const events: BatchEvent[] = [];
  let repository = '';
  let models: Models;
  let lines: LineCrop[];

  before(async () => {
    repository = await newRepository();
    models = await openModels({
      repository,
      provider: 'cpu',
      limits: { maxWaitingItems: 60 },
      onBatch: (event) => events.push(event),
      log: quietLog(),
    });
    lines = (await sampleLines(models, 'letter.png')).filter(({ width }) => width <= 768);
    assert.ok(lines.length >= 8, `expected 8 short lines or more, got ${lines.length}`);
  });

  after(async () => {
    await models.close();
    await rm(repository, { recursive: true });
  });

  it('read a printed letter and say who served it', async () => {
    const read = await Promise.all(lines.map((line) => models.recognize(line)));
    const texts = read.map(({ reading }) => reading.text.replaceAll(' ', ''));
    assert.ok(texts.includes('Telephone01632960418'), texts.join('|'));
    assert.ok(texts.includes('Yourssincerely,'), texts.join('|'));
    for (const { reading, served } of read) {
      assert.ok(reading.confidence > 0.9 && reading.confidence <= 1);
      assert.equal(served.name, 'ppocrv4-rec');
      assert.equal(served.version, '1');
      assert.equal(served.provider, 'cpu');
      assert.match(served.sha256, /^ab41faeb/);
      assert.ok(served.microBatch.size >= 1 && served.microBatch.size <= 8);
    }
  });

  it('give a line the same text and confidence alone and in any micro-batch', async () => {
    const alone = [];
    for (const line of lines) alone.push((await models.recognize(line)).reading);
    const crowd = [...lines, ...lines.toReversed(), ...lines];
    const together = await Promise.all(crowd.map((line) => models.recognize(line)));
    assert.ok(
      Math.max(...together.map(({ served }) => served.microBatch.size)) >= 3,
      'lines shared micro-batches',
    );
    for (const [i, line] of crowd.entries())
      assert.deepEqual(together[i]?.reading, alone[lines.indexOf(line)], `line ${i}`);
  });

  it('report every micro-batch with its key, fill, trigger and times', () => {
    const [event] = events.filter(({ model }) => model === 'ppocrv4-rec');
    assert.ok(event);
    assert.equal(event.outcome, 'done');
    assert.equal(event.queueDelaySeconds.length, event.size);
    assert.equal(event.fill, event.size / 8);
    assert.ok(event.inferSeconds > 0 && event.runSeconds >= event.inferSeconds);
    assert.ok(events.every(({ size }) => size <= 8));
  });

  it('leave a canceled line out of the next micro-batch', async () => {
    const [line] = lines;
    assert.ok(line);
    const controller = new AbortController();
    const canceled = models.recognize(line, { signal: controller.signal });
    const kept = models.recognize(line);
    controller.abort(new Error('the job was deleted'));
    await assert.rejects(canceled, { message: 'the job was deleted' });
    assert.equal((await kept).served.microBatch.size, 1);
    await assert.rejects(models.recognize(line, { signal: controller.signal }), {
      message: 'the job was deleted',
    });
  });

  it('answer overloaded when too many lines wait, and read those that were let in', async () => {
    const [line] = lines.toSorted((a, b) => a.width - b.width);
    assert.ok(line);
    const results = await Promise.allSettled(Array.from({ length: 120 }, () => models.recognize(line)));
    const refused = results.filter((result) => result.status === 'rejected');
    assert.ok(refused.length > 0 && refused.length <= 60, `${refused.length} of 120 refused`);
    for (const { reason } of refused) {
      assert.ok(reason instanceof ModelError);
      assert.equal(reason.code, 'overloaded');
      assert.equal(reason.permanent, false);
    }
  });

  it('refuse pages and lines that do not fit, before they are queued', async () => {
    const line = (width: number, height: number) => ({
      width,
      height,
      data: new Uint8Array(width * height * 3),
    });
    await assert.rejects(models.recognize(line(100, 47)), { code: 'bad-input' });
    await assert.rejects(models.recognize(line(models.lineSize.maxWidth + 1, 48)), { code: 'bad-input' });
    await assert.rejects(models.recognize({ ...line(100, 48), data: new Uint8Array(3) }), {
      code: 'bad-input',
    });
    await assert.rejects(models.detect(line(100, 64)), { code: 'bad-input' });
    await assert.rejects(models.detect(line(64, 8224)), { code: 'bad-input' });
  });

  it('go on when the signal that asks their parent to stop reaches them too', async () => {
    const [line] = lines;
    assert.ok(line);
    for (const pid of pidsOf(models))
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.kill(pid, signal);
    await Promise.all(Array.from({ length: 20 }, () => models.recognize(line)));
    assert.ok(models.states().every(({ restarts }) => restarts === 0));
  });

  it('name themselves', () => {
    const info = models.info();
    assert.deepEqual(
      info.map(({ name, role, labels, maxBatchSize }) => ({ name, role, labels, maxBatchSize })),
      [
        { name: 'ppocrv4-det', role: 'detect', labels: 0, maxBatchSize: 1 },
        { name: 'ppocrv4-rec', role: 'recognize', labels: 6625, maxBatchSize: 8 },
      ],
    );
  });

  it('finish what they have when they are closed, then refuse, and leave no process behind', async () => {
    const closing = await openModels({
      repository,
      provider: 'cpu',
      instances: { recognize: 1 },
      log: quietLog(),
    });
    const pids = pidsOf(closing);
    assert.equal(pids.length, 2);
    const last = lines.slice(0, 5).map((line) => closing.recognize(line));
    const closed = closing.close();
    assert.equal((await Promise.all(last)).length, 5);
    await closed;
    const [line] = lines;
    assert.ok(line);
    await assert.rejects(closing.recognize(line), { code: 'closed' });
    await until('the instances are gone', () => !pids.some(isAlive));
  });
});
