/** @import { DeadLetter } from '../../../packages/contract/src/dead-letter.ts' */
/** @import { Queue } from '../../../packages/contract/src/queue.ts' */
/** @import { Stats } from '../../../packages/contract/src/stats.ts' */
import { CallError, call, pause, post } from './api.js';
import { showBatches } from './batch-board.js';
import { showDeadLetters } from './dead-letters.js';
import { find, say } from './dom.js';
import { counted } from './format.js';
import { withKey } from './key.js';
import { openQueueCards } from './queue-cards.js';

/** Often enough to watch, seldom enough that a forgotten tab costs nothing to speak of. */
const everyMs = 2000;
const deadLettersShown = 50;

const place = {
  board: find('board', HTMLElement),
  problem: find('problem', HTMLElement),
  note: find('note', HTMLElement),
  updated: find('updated', HTMLElement),
  pulse: find('pulse', HTMLElement),
  batches: find('batches', HTMLElement),
  dead: find('dead', HTMLElement),
};

await withKey({
  needs: 'The queues are the operator’s: this needs a key with the scope admin.',
  check: () => call('v1/queues'),
});
place.board.hidden = false;

const cards = openQueueCards(find('queues', HTMLElement), {
  onTap: (name, action) =>
    act(
      () => post(`v1/queues/${name}/${action}`),
      () =>
        action === 'pause'
          ? 'Paused: jobs are still accepted, and wait until it is resumed. What workers have in hand they end.'
          : 'Resumed: workers take jobs again.',
    ),
});

/** Wakes the loop below before its time. */
let wake = new AbortController();

for (;;) {
  await refresh();
  wake = new AbortController();
  await pause(everyMs, wake.signal).catch(() => {});
  // Nobody looks: it goes on when somebody does.
  while (document.hidden)
    await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
}

async function refresh() {
  try {
    /** @type {[{ data: Queue[] }, Stats, { data: DeadLetter[], nextCursor: string | null }]} */
    const [queues, stats, dead] = await Promise.all([
      get('v1/queues'),
      get('v1/stats'),
      get(`v1/dead-letters?limit=${deadLettersShown}`),
    ]);
    cards.show(queues.data);
    showBatches(place.batches, stats.microBatches);
    showDeadLetters(place.dead, { letters: dead.data, failures: stats.failures, onRedrive: redrive });
    say(place.problem, '');
    place.updated.textContent = `as of ${new Date().toLocaleTimeString()}`;
    place.pulse.classList.remove('stale');
  } catch (error) {
    if (error instanceof CallError && error.code === 'unauthenticated') location.reload();
    say(place.problem, `${messageOf(error)} The figures below are the last that came.`);
    place.pulse.classList.add('stale');
  }
}

/** @param {string} path */
async function get(path) {
  return (await call(path)).json();
}

/** @param {string | undefined} code */
async function redrive(code) {
  await act(
    () => post('v1/dead-letters/redrive', code === undefined ? {} : { code }),
    ({ count, more }) =>
      `${counted(count, 'job is', 'jobs are')} queued again${more ? '; there are more: press once more' : ''}.`,
  );
}

/**
 * @param {() => Promise<Response>} send
 * @param {(answer: { count: number, more: boolean }) => string} told
 */
async function act(send, told) {
  try {
    const answer = await (await send()).json();
    say(place.note, told(answer));
  } catch (error) {
    say(place.note, '');
    say(place.problem, messageOf(error));
    return;
  }
  wake.abort();
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
