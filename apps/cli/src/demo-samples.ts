import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modeSchema } from '@glyphmill/contract/request';
import { z } from 'zod';
import { CliError } from './cli-error.ts';

const sampleSchema = z.object({
  file: z.string(),
  mode: modeSchema,
  script: z.enum(['latin', 'chinese', 'mixed']),
  pages: z.array(z.object({ lines: z.array(z.string()) })),
});

/** A picture that comes with the repository, and exactly what it says. */
export interface Sample {
  file: string;
  mode: 'document' | 'line';
  script: 'latin' | 'chinese' | 'mixed';
  truth: string;
  bytes: Buffer;
}

const folder = fileURLToPath(new URL('../../../test/fixtures/samples/', import.meta.url));

export function loadSamples(): Sample[] {
  const list = join(folder, 'samples.json');
  if (!existsSync(list))
    throw new CliError('failed', `the samples are not there (${list}); run this in the repository`);
  const samples = z.array(sampleSchema).parse(JSON.parse(readFileSync(list, 'utf8')));
  return samples.map(({ pages, ...sample }) => ({
    ...sample,
    truth: pages.flatMap(({ lines }) => lines).join('\n'),
    bytes: readFileSync(join(folder, sample.file)),
  }));
}
