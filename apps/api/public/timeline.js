/** @import { Job } from '../../../packages/client/src/types.ts' */
import { element } from './dom.js';
import { duration } from './format.js';

/**
 * Where the job's time went, from its submission to its end.
 *
 * @param {Job} job
 */
export function showTimeline({ timings, cache, progress, attempt }) {
  const title = element('h2', {}, 'Timeline');
  if (timings === null)
    return element('section', {}, title, element('p', { class: 'hint' }, 'This job kept none.'));
  const { queueMs, fetchMs, decodeMs, detectMs, recognizeMs, totalMs } = timings;
  const stages = [
    { name: 'Waited in the queue', ms: queueMs },
    { name: 'Fetched', ms: fetchMs },
    { name: 'Decoded, lines cut out', ms: decodeMs },
    { name: 'Lines found', ms: detectMs },
    { name: 'Lines read', ms: recognizeMs },
  ];
  const isOnePage = progress.pagesTotal === 1;
  const known = stages.reduce((sum, { ms }) => sum + ms, 0);
  const restMs = queueMs + totalMs - known;
  // Pages overlap: of several there is no rest to be told, and no place on one line of time.
  if (isOnePage && restMs >= 1) stages.push({ name: 'Waited in between, kept', ms: restMs });
  const whole = Math.max(1, isOnePage ? queueMs + totalMs : Math.max(...stages.map(({ ms }) => ms)));
  let begins = 0;
  const rows = stages.map(({ name, ms }) => {
    const bar = element('span', { class: 'bar-of' }, element('span', {}));
    const filled = bar.firstElementChild;
    if (filled instanceof HTMLElement) {
      filled.style.marginLeft = `${(isOnePage ? begins / whole : 0) * 100}%`;
      filled.style.width = `max(2px, ${(ms / whole) * 100}%)`;
    }
    begins += ms;
    return element(
      'li',
      {},
      element('span', { class: 'stage' }, name),
      bar,
      element('span', { class: 'figure' }, duration(ms)),
    );
  });
  const notes = [
    isOnePage ? '' : 'Sums over its pages, which were worked on at the same time.',
    cache === 'hit' ? 'An earlier result was given.' : '',
    attempt > 1 ? `It took ${attempt} attempts.` : '',
  ].filter((note) => note !== '');
  return element(
    'section',
    {},
    title,
    element('ol', { class: 'timeline' }, ...rows),
    ...(notes.length === 0 ? [] : [element('p', { class: 'hint' }, notes.join(' '))]),
  );
}
