import assert from 'node:assert/strict';
import type { FaultSystem } from './system.ts';

/** Does this while no worker takes documents, so that what waits in the queue can be changed there. */
export async function whilePaused(system: FaultSystem, work: () => Promise<void>): Promise<void> {
  const tap = async (action: 'pause' | 'resume') => {
    const response = await system.call(`/v1/queues/documents/${action}`, { method: 'POST' });
    assert.equal(response.status, 200, await response.text());
  };
  await tap('pause');
  try {
    await work();
  } finally {
    await tap('resume');
  }
}
