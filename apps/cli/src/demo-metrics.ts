/** What the worker's `/metrics` says of the micro-batches of one model. */
export interface BatchFigures {
  batches: number;
  items: number;
  meanSize: number;
  meanFill: number;
  triggers: Record<string, number>;
}

export async function readBatchFigures(metricsUrl: string, model: string): Promise<BatchFigures> {
  const response = await fetch(metricsUrl, { signal: AbortSignal.timeout(5000) });
  const text = await response.text();
  const value = (name: string) =>
    Number(new RegExp(`^${name}\\{model="${model}"\\} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
  const batches = value('ocr_batch_size_count');
  const items = value('ocr_batch_size_sum');
  const triggerLines = text.matchAll(
    new RegExp(`^ocr_batches_total\\{model="${model}",trigger="(\\w+)"\\} (\\S+)$`, 'gm'),
  );
  return {
    batches,
    items,
    meanSize: batches === 0 ? 0 : items / batches,
    meanFill: batches === 0 ? 0 : value('ocr_batch_fill_ratio_sum') / batches,
    triggers: Object.fromEntries([...triggerLines].map(([, trigger, count]) => [trigger, Number(count)])),
  };
}
