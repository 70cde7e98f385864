import type { Warning } from '@glyphmill/contract/job';
import type { Options } from '@glyphmill/contract/request';
import type { Line, Page, Result, ServedModel } from '@glyphmill/contract/result';
import { type Quad, quadBounds } from './geometry.ts';
import { orderLines, pageText } from './layout.ts';
import type { Reading } from './spacing.ts';

/** A line as it was found and read, in page pixels. */
export interface ReadLine {
  quad: Quad;
  reading: Reading;
}

export interface ReadPage {
  number: number;
  width: number;
  height: number;
  rotation: number;
  lines: readonly ReadLine[];
  timings: Page['timings'];
}

/** Between two pages of a text: the form feed of plain text files. */
const pageBreak = '\f';

/** Puts a page's lines into reading order. Lines read as nothing, and those under `minConfidence`, are left out. */
export function assemblePage(page: ReadPage, options: Options): { page: Page; dropped: number } {
  const found = page.lines.filter(({ reading }) => reading.text !== '');
  const kept = found.filter(({ reading }) => reading.confidence >= options.minConfidence);
  const rows = orderLines(kept, page);
  const lines = rows
    .flat()
    .map((line, index) => toLine(line, { id: `l${index + 1}`, characters: options.characters }));
  const text = pageText(rows.map((row) => row.map(({ reading }) => ({ text: reading.text }))));
  const { number, width, height, rotation, timings } = page;
  return {
    page: { number, width, height, unit: 'px', rotation, text, lines, timings },
    dropped: found.length - kept.length,
  };
}

function toLine({ quad, reading }: ReadLine, { id, characters }: { id: string; characters: boolean }): Line {
  const { left, top, right, bottom } = quadBounds(quad);
  return {
    id,
    text: reading.text,
    confidence: round(reading.confidence, 4),
    polygon: quad.map((coordinate) => round(coordinate, 1)),
    bbox: [left, top, right, bottom].map((coordinate) => round(coordinate, 1)),
    ...(characters ? { characters: reading.characters.map(roundCharacter) } : {}),
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
}

/** The canonical result of a document. */
export function assembleResult({ jobId, engine, pages, warnings }: Assembly): Result {
  const lines = pages.flatMap((page) => page.lines);
  const characters = lines.reduce((sum, { text }) => sum + text.length, 0);
  const weighted = lines.reduce((sum, { text, confidence }) => sum + confidence * text.length, 0);
  const pixels = pages.reduce((sum, { width, height }) => sum + width * height, 0);
  return {
    object: 'ocr.result',
    schemaVersion: '1.0',
    jobId,
    text: pages.map(({ text }) => text).join(pageBreak),
    confidence: characters === 0 ? null : round(weighted / characters, 4),
    engine,
    pages: [...pages],
    usage: { pages: pages.length, lines: lines.length, megapixels: round(pixels / 1e6, 3) },
    warnings: [...warnings],
  };
}

function round(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
