// What the operator's calls answer, as far as these pages read it; apps/api/src has the whole.

/**
 * @typedef {{
 *   name: 'documents' | 'deliveries', waiting: number, backlog: number, active: number, delayed: number,
 *   paused: boolean, oldestAgeSeconds: number | null, ratePerSecond: number,
 * }} Queue
 *
 * @typedef {{
 *   model: string, version: string, batchesPerSecond: number, itemsPerSecond: number, meanSize: number, fill: number,
 *   triggers: Record<string, number>,
 * }} MicroBatchStats
 *
 * @typedef {{ failures: { kept: number, lastHour: number }, microBatches: MicroBatchStats[] }} Stats
 *
 * @typedef {import('../../../packages/client/src/types.ts').Job & { tenant: string }} DeadLetter
 */

export {};
