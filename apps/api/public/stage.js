/** @import { Job, Model } from '../../../packages/client/src/types.ts' */
import { call } from './api.js';

/** After so long in the queue one asks whether anybody is there to read. */
const impatientMs = 6000;

/**
 * Tells in words how far a job is.
 *
 * @param {HTMLElement} place
 */
export function stageOf(place) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return {
    /** @param {Job} job */
    show(job) {
      clearTimeout(timer);
      place.textContent = textOf(job);
      if (job.status === 'queued') timer = setTimeout(() => void explain(place), impatientMs);
    },
    close: () => clearTimeout(timer),
  };
}

/** @param {Job} job */
function textOf({ status, progress }) {
  if (status === 'queued') return 'Waiting in the queue …';
  if (status === 'canceling') return 'Being canceled …';
  const { pagesTotal, pagesDone, pagesFailed } = progress;
  if (pagesTotal === null) return 'Fetched and decoded …';
  if (pagesTotal === 1) return 'Its lines are read …';
  return `${pagesDone + pagesFailed} of ${pagesTotal} pages are read …`;
}

/** @param {HTMLElement} place */
async function explain(place) {
  try {
    /** @type {{ data: Model[] }} */
    const { data } = await (await call('v1/models')).json();
    place.textContent = data.some(({ ready }) => ready)
      ? 'Still waiting: the workers are busy, or the queue is paused. See Queues.'
      : 'Still waiting: no worker is running. Start one, by npm start or glyphmill worker; this page goes on by itself.';
  } catch {
    // It goes on waiting; that the API is away is told where the job is followed.
  }
}
