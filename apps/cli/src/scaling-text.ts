import type { ScalingRun, ScalingSample } from '@glyphmill/core/simulate-scaling';

/** Rows in which nothing but time passes are left out beyond this many. */
const mostRows = 60;

export interface Cost {
  podHours: number;
  /** In whatever the price was given in; null without a price. */
  price: number | null;
}

/** A run as a table over time and a few lines that sum it up. */
export function renderScaling(
  run: ScalingRun,
  { cost, objectiveSeconds }: { cost: Cost; objectiveSeconds: number },
): string {
  const head = ['time', 'pages/s', 'backlog', 'oldest waits', 'replicas', 'ready', 'pod-hours', ''];
  const widest = Math.max(1, ...run.samples.map(({ replicas }) => replicas));
  const rows = thinned(run.samples).map((sample) => [
    clock(sample.atSeconds),
    `${round(sample.arrivingPerSecond)}`,
    `${Math.round(sample.backlogPages)}`,
    clock(sample.oldestWaitSeconds),
    `${sample.replicas}`,
    `${sample.readyReplicas}`,
    hours(sample.replicaSeconds).toFixed(2),
    '█'.repeat(Math.ceil((sample.replicas / widest) * 30)),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const table = [head, ...rows].map((row) =>
    row
      .map((cell, column) => (column < head.length - 1 ? cell.padStart(widths[column] ?? 0) : cell))
      .join('  ')
      .trimEnd(),
  );
  const met = run.longestWaitSeconds <= objectiveSeconds;
  return [
    ...table,
    '',
    `longest wait   ${clock(run.longestWaitSeconds)}: the objective of ${clock(objectiveSeconds)} is ${met ? 'met' : 'missed'}`,
    `peak           ${run.peakReplicas} replicas, ${Math.round(run.peakBacklogPages)} pages of backlog`,
    `left at end    ${Math.round(run.leftPages)} pages`,
    `turns          ${run.reversals} of the direction of scaling`,
    `cost           ${cost.podHours.toFixed(2)} pod-hours${cost.price === null ? '' : `, ${cost.price.toFixed(2)} at the price given`}`,
    '',
  ].join('\n');
}

/** Changes of replicas are always shown, and what lies between them at even steps. */
function thinned(samples: readonly ScalingSample[]): ScalingSample[] {
  const step = Math.ceil(samples.length / mostRows);
  return samples.filter(
    ({ replicas, readyReplicas }, index) =>
      index % step === 0 ||
      index === samples.length - 1 ||
      replicas !== samples[index - 1]?.replicas ||
      readyReplicas !== samples[index - 1]?.readyReplicas,
  );
}

function clock(seconds: number): string {
  const [minutes, rest] = [Math.floor(seconds / 60), Math.round(seconds % 60)];
  return `${minutes}:${String(rest).padStart(2, '0')}`;
}

const round = (value: number) => Math.round(value * 100) / 100;
export const hours = (seconds: number) => seconds / 3600;
