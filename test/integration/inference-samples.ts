/** What the tests of @glyphmill/inference share: a repository, lines cut from sample pages, and waiting. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LineCrop, rectifyLine } from '@glyphmill/core/rectify';
import { scaleRegions } from '@glyphmill/core/regions';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import type { Models } from '@glyphmill/inference/models';
import sharp from 'sharp';

/** Notes what is logged, for tests that look at it. */
export function quietLog() {
  const lines: { fields: object; message: string }[] = [];
  const note = (fields: object, message: string) => void lines.push({ fields, message });
  return { lines, info: note, warn: note, error: note };
}

/** A new directory with the default models in it. */
export async function newRepository(): Promise<string> {
  const repository = await mkdtemp(join(tmpdir(), 'glyphmill-models-'));
  await importDefaultModels(repository);
  return repository;
}

/** Detects the lines of a page among the samples and cuts them out. */
export async function sampleLines(models: Models, file: string): Promise<LineCrop[]> {
  const path = fileURLToPath(new URL(`../fixtures/samples/${file}`, import.meta.url));
  const { data, info } = await sharp(path)
    .flatten({ background: '#fff' })
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const page = { width: info.width, height: info.height, data };
  const size = models.pageSize(page);
  const raw = { width: info.width, height: info.height, channels: info.channels };
  const small = await sharp(data, { raw })
    .resize({ ...size, fit: 'fill' })
    .raw()
    .toBuffer();
  const { regions } = await models.detect({ ...size, data: small });
  const scaled = scaleRegions(regions, page.width / size.width, page.height / size.height, page);
  return scaled.map(({ quad }) => rectifyLine(page, quad, models.lineSize));
}

/** Polls until `isTrue`, and fails with `what` after `timeoutMs`. */
export async function until(what: string, isTrue: () => boolean, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`expected within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether the process is there; one that only waits to be reaped counts as gone to its parent. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export function pidsOf(models: Models, model?: string): number[] {
  const states = models.states().filter((state) => model === undefined || state.model === model);
  return states.flatMap(({ pid }) => pid ?? []);
}
