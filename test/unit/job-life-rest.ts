// How it has to look once nothing goes wrong any more and everything has had its time.

import { isFinal } from '@glyphmill/contract/job';
import type { LifeStore } from './job-life-store.ts';
import type { Transport } from './job-life-transport.ts';

/** What is still to be done, or will never be; undefined: nothing. */
export function findUnrest({
  store: { lives, feeding, backlog },
  transport,
  goesOn,
}: {
  store: LifeStore;
  transport: Transport;
  /** Something that is not waited for in vain. */
  goesOn: string | undefined;
}): { what: string; jobId: string } | undefined {
  for (const [jobId, { state, finishes, events }] of lives) {
    if (state !== undefined && !isFinal(state.status)) return { what: `${state.status} for good`, jobId };
    if (events !== finishes) return { what: `ended ${finishes} times with ${events} events`, jobId };
  }
  for (const { name, jobId, place } of transport.entries.values()) {
    if (place !== 'done') return { what: `${place} in BullMQ for good, as ${name}`, jobId };
  }
  const [lease] = feeding.keys();
  if (lease !== undefined) return { what: 'leased for good', jobId: lease };
  const [waiting] = backlog;
  if (waiting !== undefined) return { what: 'in the backlog for good', jobId: waiting };
  return goesOn === undefined ? undefined : { what: `there is still a ${goesOn}`, jobId: '' };
}
