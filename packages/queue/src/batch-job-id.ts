import { createHash } from 'node:crypto';
import { derivedId } from '@glyphmill/contract/id';

/** The id of the batch's job at this place: always the same, so that making it again makes nothing. */
export function batchJobId(batchId: string, index: number): string {
  const hash = createHash('sha256').update(`${batchId}:${index}`).digest();
  return derivedId('job', { parent: batchId, hash });
}

/** Of the places from `from` up to but without `to`. */
export function batchJobIds(batchId: string, { from, to }: { from: number; to: number }): string[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, offset) => batchJobId(batchId, from + offset));
}
