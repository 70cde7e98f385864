import type { Job } from '@glyphmill/contract/job';
import type { Result } from '@glyphmill/contract/result';
import { characterErrorRate, wordF1 } from '@glyphmill/core/text-accuracy';
import type { BatchFigures } from './demo-metrics.ts';
import type { Sample } from './demo-samples.ts';

/** One document of the demo, as it ended. */
export interface DemoRow {
  key: string;
  script: Sample['script'];
  status: Job['status'];
  error: string | null;
  pages: number;
  lines: number;
  confidence: number | null;
  characterErrorRate: number;
  wordF1: number;
  timings: Job['timings'];
}

export interface DemoReport {
  rows: DemoRow[];
  summary: {
    documents: number;
    succeeded: number;
    seconds: number;
    documentsPerSecond: number;
    linesPerSecond: number;
    documentsInFlight: number;
    model: string;
    provider: string;
    maxBatchSize: number;
    batches: BatchFigures;
    webhooks: { expected: number; verified: number; refused: number; repeated: number };
    accuracy: Record<'latin' | 'chinese' | 'mixed', { characterErrorRate: number; wordF1: number }>;
  };
  /** What did not hold; empty when all is well. */
  problems: string[];
}

/** Bounds on the means over the samples and over the recogniser's micro-batches. */
const bounds = {
  latin: { characterErrorRate: 0.03, wordF1: 0.95 },
  chinese: { characterErrorRate: 0.05 },
  meanFill: 0.8,
};

export function toRow(sample: Sample, outcome: { job: Job; result: Result | undefined }): DemoRow {
  const { job, result } = outcome;
  const text = result?.text ?? '';
  return {
    key: sample.file,
    script: sample.script,
    status: job.status,
    error: job.error?.code ?? null,
    pages: result?.usage.pages ?? 0,
    lines: result?.usage.lines ?? 0,
    confidence: result?.confidence ?? null,
    characterErrorRate: characterErrorRate(sample.truth, text),
    wordF1: wordF1(sample.truth, text),
    timings: job.timings,
  };
}

export function accuracyOf(rows: readonly DemoRow[], script: Sample['script']) {
  const chosen = rows.filter((row) => row.script === script);
  const mean = (value: (row: DemoRow) => number) =>
    chosen.reduce((sum, row) => sum + value(row), 0) / Math.max(1, chosen.length);
  return { characterErrorRate: mean((row) => row.characterErrorRate), wordF1: mean((row) => row.wordF1) };
}

export function findProblems({ rows, summary }: Omit<DemoReport, 'problems'>): string[] {
  const { accuracy, webhooks } = summary;
  const { latin, chinese } = accuracy;
  const checks: [boolean, string][] = [
    [summary.succeeded === rows.length, `${rows.length - summary.succeeded} jobs did not succeed`],
    [
      latin.characterErrorRate <= bounds.latin.characterErrorRate,
      `Latin character error rate ${percent(latin.characterErrorRate)} is above ${percent(bounds.latin.characterErrorRate)}`,
    ],
    [
      latin.wordF1 >= bounds.latin.wordF1,
      `Latin word F1 ${latin.wordF1.toFixed(3)} is below ${bounds.latin.wordF1}`,
    ],
    [
      chinese.characterErrorRate <= bounds.chinese.characterErrorRate,
      `Chinese character error rate ${percent(chinese.characterErrorRate)} is above ${percent(bounds.chinese.characterErrorRate)}`,
    ],
    [
      webhooks.verified === webhooks.expected,
      `${webhooks.verified} of ${webhooks.expected} webhooks came and were verified`,
    ],
    [
      summary.batches.meanFill >= bounds.meanFill,
      `micro-batches were filled to ${percent(summary.batches.meanFill)}, below ${percent(bounds.meanFill)}`,
    ],
    [webhooks.refused === 0, `${webhooks.refused} webhooks had a bad signature`],
  ];
  return checks.filter(([holds]) => !holds).map(([, problem]) => problem);
}

const columns: { title: string; width: number; value: (row: DemoRow) => string }[] = [
  { title: 'key', width: -24, value: ({ key }) => key },
  { title: 'pages', width: 5, value: ({ pages }) => String(pages) },
  { title: 'lines', width: 5, value: ({ lines }) => String(lines) },
  { title: 'conf', width: 6, value: ({ confidence }) => (confidence === null ? '–' : confidence.toFixed(3)) },
  { title: 'CER', width: 7, value: (row) => percent(row.characterErrorRate) },
  { title: 'wordF1', width: 6, value: (row) => row.wordF1.toFixed(3) },
  { title: 'queue', width: 7, value: ({ timings }) => milliseconds(timings?.queueMs) },
  { title: 'fetch', width: 5, value: ({ timings }) => milliseconds(timings?.fetchMs) },
  { title: 'decode', width: 6, value: ({ timings }) => milliseconds(timings?.decodeMs) },
  { title: 'detect', width: 6, value: ({ timings }) => milliseconds(timings?.detectMs) },
  { title: 'recog.', width: 6, value: ({ timings }) => milliseconds(timings?.recognizeMs) },
  { title: 'status', width: -10, value: ({ status, error }) => error ?? status },
];

export function renderReport({ rows, summary, problems }: DemoReport): string {
  const line = (cells: string[]) =>
    cells
      .map((cell, index) => pad(cell, columns[index]?.width ?? 0))
      .join('  ')
      .trimEnd();
  const table = [
    line(columns.map(({ title }) => title)),
    line(columns.map(({ width }) => '─'.repeat(Math.abs(width)))),
    ...rows.map((row) => line(columns.map(({ value }) => value(row)))),
  ];
  const { batches, webhooks, accuracy } = summary;
  const triggers = Object.entries(batches.triggers).map(([trigger, count]) => `${trigger} ${count}`);
  const rate = (script: keyof typeof accuracy) =>
    `${script} ${percent(accuracy[script].characterErrorRate)} (word F1 ${accuracy[script].wordF1.toFixed(3)})`;
  return [
    ...table,
    '(times in ms; detect and recog. include waiting for a micro-batch)',
    '',
    `${summary.succeeded} of ${summary.documents} documents in ${summary.seconds.toFixed(1)} s: ${summary.documentsPerSecond.toFixed(2)} documents/s, ${summary.linesPerSecond.toFixed(1)} lines/s on ${summary.provider}`,
    `micro-batches of ${summary.model}: ${batches.batches} formed of ${batches.items} lines, mean ${batches.meanSize.toFixed(2)} of max ${summary.maxBatchSize} (fill ${percent(batches.meanFill)}), ${summary.documentsInFlight} documents in flight; triggers: ${triggers.join(', ')}`,
    `character error rate: ${rate('latin')}, ${rate('chinese')}, ${rate('mixed')}`,
    `webhooks: ${webhooks.verified} of ${webhooks.expected} received and verified, ${webhooks.repeated} repeated`,
    problems.length === 0 ? 'all well' : `NOT WELL: ${problems.join('; ')}`,
    '',
  ].join('\n');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '–' : String(Math.round(value));
}

/** Pads to the right for negative widths, to the left for positive ones. */
function pad(text: string, width: number): string {
  return width < 0 ? text.padEnd(-width) : text.padStart(width);
}
