import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { type Models, openModels } from '@glyphmill/inference/models';
import { createWorkerMetrics } from 'glyphmill-worker/metrics';
import { checkModels } from 'glyphmill-worker/readiness';
import { greyLine, writeTinyModel } from './inference-onnx.ts';
import { newRepository, quietLog, until } from './inference-samples.ts';

describe('the metrics of a model', () => {
  let repository = '';
  let models: Models;
  const metrics = createWorkerMetrics({
    documentsInFlight: () => 0,
    bytesInFlight: () => 0,
    linesWaiting: () => models.waiting(),
    instances: () => models.states(),
    models: () => models.info(),
    problems: () => models.problems(),
  });
  /** The value of a sample by its name and labels, which must be there. */
  const value = async (sample: string) => {
    const line = (await metrics.registry.metrics()).split('\n').find((text) => text.startsWith(`${sample} `));
    return Number(line?.slice(sample.length) ?? assert.fail(`no ${sample}`));
  };

  before(async () => {
    repository = await newRepository();
    await writeTinyModel(repository, { name: 'nan', kind: 'nan' });
    models = await openModels({
      repository,
      names: { recognize: 'nan' },
      instances: { recognize: 1 },
      limits: { maxWaitingItems: 10 },
      onBatch: metrics.onBatch,
      onItem: metrics.onItem,
      log: quietLog(),
    });
  });
  after(async () => {
    await models?.close(0);
    await rm(repository, { recursive: true });
  });

  it('tell items by their end, micro-batches by size, fill, trigger and cause of failure, and times by stage', async () => {
    // A full micro-batch with a line that gives no number, then one that is called off.
    const full = await Promise.allSettled([100, 110, 120, 0].map((grey) => models.recognize(greyLine(grey))));
    assert.equal(full.filter(({ status }) => status === 'fulfilled').length, 3);
    const controller = new AbortController();
    const canceled = models.recognize(greyLine(130), { signal: controller.signal });
    controller.abort();
    await assert.rejects(canceled);
    const many = await Promise.allSettled(Array.from({ length: 30 }, () => models.recognize(greyLine(140))));
    const refused = many.filter(({ status }) => status === 'rejected').length;
    assert.ok(refused > 0);

    const model = 'model="nan"';
    assert.equal(await value(`ocr_items_total{${model},outcome="done"}`), 3 + 30 - refused);
    assert.equal(await value(`ocr_items_total{${model},outcome="bad-output"}`), 1);
    assert.equal(await value(`ocr_items_total{${model},outcome="canceled"}`), 1);
    assert.equal(await value(`ocr_items_total{${model},outcome="overloaded"}`), refused);
    // Of four, then two, then the one.
    assert.equal(await value(`ocr_failed_batches_total{${model},cause="model-error"}`), 3);
    assert.ok((await value(`ocr_batches_total{${model},trigger="size"}`)) >= 1);
    const batches = await value(`ocr_batch_size_count{${model}}`);
    assert.equal(await value(`ocr_batch_fill_ratio_count{${model}}`), batches);
    const ran = await value(`ocr_batch_size_sum{${model}}`);
    assert.equal(await value(`ocr_batch_queue_delay_seconds_count{${model}}`), ran);
    for (const stage of ['pack', 'infer', 'post'])
      assert.equal(await value(`ocr_stage_duration_seconds_count{stage="${stage}",${model}}`), batches - 3);
  });

  it('tell the models served with their provider, and their instances by state, as readiness does', async () => {
    await until('all rest', () => models.states().every(({ status }) => status === 'idle'));
    const [info] = models.info().filter(({ name }) => name === 'nan');
    assert.ok(info);
    const { sha256, provider } = info;
    const instances = `ocr_inference_instances{model="nan",version="1",provider="${provider}",state="idle"}`;
    assert.equal(await value(instances), 1);
    const labels = `model="nan",version="1",sha256="${sha256}",provider="${provider}"`;
    assert.equal(await value(`ocr_model_info{${labels}}`), 1);
    assert.match(checkModels(models).detail, new RegExp(`nan 1 on ${provider}: 1 instances`));
  });
});
