import type { LineCrop } from '@glyphmill/core/rectify';
import { resizeLine } from '@glyphmill/core/rectify';
import { type Models, openModels } from '@glyphmill/inference/models';
import sharp from 'sharp';
import { loadSamples, samplesFolder } from '../fixtures/sample-list.ts';
import { sampleLines } from '../integration/inference-samples.ts';

export interface Correctness {
  lines: number;
  /** Texts that differ from the CPU's. */
  different: { cpu: string; provider: string }[];
  /** Of the confidence of one line, between the CPU and the provider. */
  largestDifference: number;
  passed: boolean;
}

/** The provider rounds differently; more than this is another result. */
const tolerance = 1e-2;
/** Pages whose lines are read beside the samples that are lines: Latin, Chinese and mixed. */
const pages = ['letter.png', 'invoice.jpg', 'zh-article.jpg', 'mixed-manual.png'];

/** Reads the same crops on the CPU and on the provider; throws where the provider is not the one that ran. */
export async function compareWithCpu(repository: string, provider: 'cpu' | 'cuda'): Promise<Correctness> {
  const cpu = await open(repository, 'cpu');
  const other = await open(repository, provider);
  try {
    const crops = await cutLines(cpu);
    const readings = await Promise.all(
      crops.map(async (crop) => {
        const [expected, found] = await Promise.all([cpu.recognize(crop), other.recognize(crop)]);
        if (found.served.provider !== provider)
          throw new Error(`expected ${provider}, and ${found.served.provider} ran`);
        return { expected: expected.reading, found: found.reading };
      }),
    );
    const different = readings
      .filter(({ expected, found }) => expected.text !== found.text)
      .map(({ expected, found }) => ({ cpu: expected.text, provider: found.text }));
    const largestDifference = Math.max(
      ...readings.map(({ expected, found }) => Math.abs(expected.confidence - found.confidence)),
    );
    const passed = crops.length > 0 && different.length === 0 && largestDifference <= tolerance;
    return { lines: crops.length, different, largestDifference, passed };
  } finally {
    await Promise.all([cpu.close(), other.close()]);
  }
}

function open(repository: string, provider: 'cpu' | 'cuda'): Promise<Models> {
  return openModels({
    repository,
    provider,
    instances: { detect: 1, recognize: 1 },
    threads: 1,
    log: { info() {}, warn: console.error, error: console.error },
  });
}

async function cutLines(models: Models): Promise<LineCrop[]> {
  const crops: LineCrop[] = [];
  for (const { file } of loadSamples().filter(({ mode }) => mode === 'line')) {
    const { data, info } = await sharp(`${samplesFolder}${file}`)
      .flatten({ background: '#fff' })
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    crops.push(resizeLine({ width: info.width, height: info.height, data }, models.lineSize));
  }
  for (const page of pages) crops.push(...(await sampleLines(models, page)));
  return crops;
}
