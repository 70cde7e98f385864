import { join } from 'node:path';
import sharp from 'sharp';
import { writeTinyModel } from '../integration/inference-onnx.ts';
import { expectAttempts } from './apps.ts';
import { openLedger } from './ledger.ts';
import type { Row } from './row.ts';
import type { Environment } from './system.ts';

/** Lines wait this long for others, so that good and bad ones share micro-batches. */
const queueDelayMs = 500;

/** A recogniser that fails as real weights seldom do, by what it is shown. */
export async function faultyModelEnvironment(dir: string): Promise<Environment> {
  const repository = join(dir, 'models');
  const extra = `dynamic_batching { max_queue_delay_microseconds: ${queueDelayMs * 1000} }`;
  await writeTinyModel(repository, { name: 'tiny', kind: 'refuse', maxBatchSize: 8, extra });
  return { MODEL_REPOSITORY: repository, RECOGNIZE_MODEL: 'tiny' };
}

/** What it reads in every line that does it no harm. */
const good = { text: 'a' };
const bad = { codes: ['model-error'] } as const;

export const modelFails: Row = {
  number: 12,
  fault: 'an ONNX session refuses some lines and gives NaN for others',
  promise: 'these end as model-error, all that shared a micro-batch with them succeed at the first attempt',
  async run(system) {
    const ledger = openLedger(system, 'row-12');
    for (const [name, grey] of Object.entries({ grey: 128, black: 0, white: 255 }))
      await system.put(`row-12/${name}`, await plainLine(grey));
    const submit = (name: string) =>
      ledger.submit({
        key: `row-12/${name}`,
        expected: name === 'grey' ? good : bad,
        // Each is read, in company.
        more: { cache: 'bypass' },
      });
    const names = Array.from({ length: 32 }, (_, index) =>
      index % 8 === 2 ? 'black' : index % 8 === 5 ? 'white' : 'grey',
    );
    const ids = await Promise.all(names.map(submit));
    await ledger.check();
    for (const [index, id] of ids.entries())
      expectAttempts(system.workers, id, [names[index] === 'grey' ? 'succeeded' : 'failed model-error']);
    return '';
  },
};

function plainLine(grey: number): Promise<Buffer> {
  const background = { r: grey, g: grey, b: grey };
  return sharp({ create: { width: 32, height: 8, channels: 3, background } })
    .png()
    .toBuffer();
}
