import type { TracedBatch, TraceRun } from './simulate.ts';
import type { CapacityPlan } from './simulate-plan.ts';

/** Longer lists of ids are cut, so that a line stays readable. */
const MAX_LISTED_ITEMS = 12;

/** A readable account of a trace: what went when and where, why, and how long each item had waited. */
export function renderTimeline(run: TraceRun): string {
  const events = [
    ...run.batches.map((batch) => ({ t: batch.t, cells: batchCells(batch, run) })),
    ...run.dropped.map(({ t, id, why }) => ({ t, cells: [count(t), '-', '-', 'dropped', why, `${id}`] })),
  ].sort((a, b) => a.t - b.t);
  const head = ['t µs', 'instance', 'size', 'until µs', 'why', 'item: waited µs'];
  const title = run.note === '' ? run.name : `${run.name}: ${run.note}`;
  const settings = `up to ${run.maxBatchSize} a batch, queue delay ${count(run.maxQueueDelayUs)} µs, instances ${run.instances}`;
  const body = events.length === 0 ? 'nothing happened' : table([head, ...events.map(({ cells }) => cells)]);
  return `${title}\n${settings}\n${body}\n`;
}

/** One line per plan, for a terminal. */
export function renderPlans(plans: readonly CapacityPlan[]): string {
  const head = [
    'max',
    'delay µs',
    'offered/s',
    'done/s',
    'p50 ms',
    'p99 ms',
    'fill',
    'busy',
    'dropped',
    'went by',
  ];
  const rows = plans.map((plan) => [
    `${plan.maxBatchSize}`,
    count(plan.maxQueueDelayUs),
    count(Math.round(plan.offeredPerSecond)),
    count(Math.round(plan.throughputPerSecond)),
    (plan.latencyP50Us / 1000).toFixed(1),
    (plan.latencyP99Us / 1000).toFixed(1),
    percent(plan.meanFill),
    percent(plan.busyShare),
    count(plan.dropped),
    Object.entries(plan.triggers)
      .filter(([, batches]) => batches > 0)
      .map(([trigger, batches]) => `${trigger} ${percent(batches / plan.batches)}`)
      .join(', '),
  ]);
  return `${table([head, ...rows])}\n`;
}

function batchCells(batch: TracedBatch, run: TraceRun): string[] {
  const listed = batch.ids
    .slice(0, MAX_LISTED_ITEMS)
    .map((id, n) => `${id}: ${count(batch.waitsUs[n] ?? 0)}`);
  const more = batch.ids.length - listed.length;
  return [
    count(batch.t),
    `#${batch.instance}`,
    `${batch.size}/${run.maxBatchSize}`,
    count(batch.doneUs),
    `${batch.trigger}: ${reason(batch, run)}`,
    listed.join('  ') + (more > 0 ? ` and ${more} more` : ''),
  ];
}

function reason({ trigger, size, waitsUs }: TracedBatch, run: TraceRun): string {
  switch (trigger) {
    case 'size':
      return size >= run.maxBatchSize ? 'full' : 'the next item did not fit';
    case 'preferred':
      return `${size} reaches a preferred size`;
    case 'delay': {
      const late = Math.max(...waitsUs) - run.maxQueueDelayUs;
      return late > 0
        ? `window over ${count(late)} µs ago, no instance was idle`
        : 'the oldest has waited its window';
    }
    case 'idle':
      return 'no queue delay, an instance was idle';
    case 'drain':
      return 'nothing waits while draining';
  }
}

function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [n, cell] of row.entries()) widths[n] = Math.max(widths[n] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, n) => cell.padEnd(widths[n] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}
