import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MicroBatches } from '@glyphmill/engine/micro-batches';

const ride = { size: 8, fill: 1, trigger: 'size', runSeconds: 0.0421, queueDelaySeconds: 0.001 } as const;

test('the items of one document that share a micro-batch are counted in it, and the longest wait told', () => {
  const batches = new MicroBatches();
  batches.add('recognize', { ...ride, id: 'a' });
  batches.add('recognize', { ...ride, id: 'a', queueDelaySeconds: 0.02 });
  batches.add('recognize', { ...ride, id: 'a', queueDelaySeconds: 0.01 });
  const told = {
    role: 'recognize',
    size: 8,
    own: 3,
    fill: 1,
    trigger: 'size',
    queueDelayMs: 20,
    runMs: 42.1,
  };
  assert.deepEqual(batches.list(), [{ id: 'a', ...told }]);
});

test('of more than a thousand micro-batches the first are named, and their items counted to the end', () => {
  const batches = new MicroBatches();
  for (let index = 0; index < 1200; index += 1) batches.add('recognize', { ...ride, id: `b${index}` });
  batches.add('recognize', { ...ride, id: 'b0' });
  assert.equal(batches.list().length, 1000);
  assert.equal(batches.list()[0]?.own, 2);
});
