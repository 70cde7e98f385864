import type { Failure } from '@glyphmill/contract/failure';
import type { Warning } from '@glyphmill/contract/job';
import type { Options } from '@glyphmill/contract/request';
import type { Line, MicroBatch, Page, Result, ServedModel, SucceededPage } from '@glyphmill/contract/result';
import { type Quad, quadBounds } from './geometry.ts';
import { orderLines, pageText } from './layout.ts';
import type { Reading } from './spacing.ts';

/** A line as it was found and read, in page pixels. */
export interface ReadLine {
  quad: Quad;
  reading: Reading;
  /** The id of the one it was read in. */
  microBatch?: string;
}

export interface ReadPage {
  number: number;
  width: number;
  height: number;
  rotation: number;
  lines: readonly ReadLine[];
  timings: SucceededPage['timings'];
}

/** Between two pages of a text: the form feed of plain text files. */
const pageBreak = '\f';
/** Warnings in one result: the job's record holds them too, and a document may have thousands of pages. */
const maxWarnings = 50;

/** Puts a page's lines into reading order. Lines read as nothing, and those under `minConfidence`, are left out. */
export function assemblePage(page: ReadPage, options: Options): { page: SucceededPage; dropped: number } {
  const found = page.lines.filter(({ reading }) => reading.text !== '');
  const kept = found.filter(({ reading }) => reading.confidence >= options.minConfidence);
  const rows = orderLines(kept, page);
  const lines = rows.flat().map((line, index) => toLine(line, { id: `l${index + 1}`, options }));
  const text = pageText(rows.map((row) => row.map(({ reading }) => ({ text: reading.text }))));
  const { number, width, height, rotation, timings } = page;
  return {
    page: {
      number,
      status: 'succeeded',
      width,
      height,
      unit: 'px',
      rotation,
      text,
      lines,
      error: null,
      timings,
    },
    dropped: found.length - kept.length,
  };
}

/** The entry of a page that cannot be read. */
export function failedPage(number: number, failure: Failure): Page {
  return {
    number,
    status: 'failed',
    width: null,
    height: null,
    unit: 'px',
    rotation: null,
    text: '',
    lines: [],
    error: { ...failure, page: number },
    timings: null,
  };
}

function toLine(
  { quad, reading, microBatch }: ReadLine,
  { id, options }: { id: string; options: Options },
): Line {
  const { left, top, right, bottom } = quadBounds(quad);
  return {
    id,
    text: reading.text,
    confidence: round(reading.confidence, 4),
    polygon: quad.map((coordinate) => round(coordinate, 1)),
    bbox: [left, top, right, bottom].map((coordinate) => round(coordinate, 1)),
    ...(options.characters ? { characters: reading.characters.map(roundCharacter) } : {}),
    ...(options.microBatches && microBatch !== undefined ? { microBatch } : {}),
  };
}

function roundCharacter({ text, confidence }: { text: string; confidence: number }) {
  return { text, confidence: round(confidence, 4) };
}

export interface Assembly {
  jobId: string | null;
  engine: { service: string; runtime: string; models: ServedModel[]; options: Options };
  pages: readonly Page[];
  warnings: readonly Warning[];
  microBatches?: MicroBatch[] | undefined;
}

/** The canonical result of a document; what it counts and measures are the pages that were read. */
export function assembleResult({ jobId, engine, pages, warnings, microBatches }: Assembly): Result {
  const lines = pages.flatMap((page) => page.lines);
  const characters = lines.reduce((sum, { text }) => sum + text.length, 0);
  const weighted = lines.reduce((sum, { text, confidence }) => sum + confidence * text.length, 0);
  const read = pages.filter((page) => page.status === 'succeeded');
  const pixels = read.reduce((sum, { width, height }) => sum + width * height, 0);
  return {
    object: 'ocr.result',
    schemaVersion: '1.0',
    jobId,
    text: pages.map(({ text }) => text).join(pageBreak),
    confidence: characters === 0 ? null : round(weighted / characters, 4),
    engine,
    pages: [...pages],
    usage: { pages: read.length, lines: lines.length, megapixels: round(pixels / 1e6, 3) },
    warnings: boundWarnings([...pages.flatMap(warningOf), ...warnings]),
    ...(microBatches === undefined ? {} : { microBatches }),
  };
}

function warningOf({ number, error }: Page): Warning[] {
  return error === null ? [] : [{ code: 'page-failed', message: error.message, page: number }];
}

function boundWarnings(warnings: Warning[]): Warning[] {
  const more = warnings.length - maxWarnings;
  if (more <= 0) return warnings;
  const message = `${more + 1} more warnings are left out; each page tells whether it was read.`;
  return [...warnings.slice(0, maxWarnings - 1), { code: 'more-warnings', message }];
}

function round(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
