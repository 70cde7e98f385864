import { appendFile, cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lineHeight } from './recognizer-load.ts';

/**
 * Copies the default models and gives the recogniser this batch size, and this width alone: on a GPU warming up the
 * others would only take time.
 */
export async function copyRepository({
  from,
  to,
  batch,
  width,
}: {
  from: string;
  to: string;
  batch: number;
  width: number;
}): Promise<void> {
  await cp(from, to, { recursive: true });
  const file = join(to, 'ppocrv4-rec/config.pbtxt');
  const config = await readFile(file, 'utf8');
  await writeFile(file, config.replace('max_batch_size: 8', `max_batch_size: ${batch}`));
  for (const [key, value] of [
    ['width_ladder', width],
    ['max_batch_pixels', batch * lineHeight * width],
  ])
    await appendFile(file, `parameters { key: "${key}" value { string_value: "${value}" } }\n`);
}
