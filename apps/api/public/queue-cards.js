/** @import { Queue } from '../../../packages/contract/src/queue.ts' */
import { button, element } from './dom.js';
import { age } from './format.js';
import { openSparkline } from './sparkline.js';

/** @type {Record<Queue['name'], { title: string, ended: string }>} */
const words = {
  documents: { title: 'Documents', ended: 'read' },
  deliveries: { title: 'Webhook deliveries', ended: 'sent' },
};

/**
 * A card for each queue, made once and brought up to date from then on, so that a focused button stays.
 *
 * @param {HTMLElement} place
 * @param {{ onTap: (name: Queue['name'], action: 'pause' | 'resume') => void }} listeners
 */
export function openQueueCards(place, { onTap }) {
  /** @type {Map<string, ReturnType<typeof openCard>>} */
  const cards = new Map();
  return {
    /** @param {readonly Queue[]} queues */
    show(queues) {
      for (const queue of queues) {
        const card = cards.get(queue.name) ?? openCard(queue, onTap);
        if (!cards.has(queue.name)) place.append(card.element);
        cards.set(queue.name, card);
        card.show(queue);
      }
    },
  };
}

/**
 * @param {Queue} queue
 * @param {(name: Queue['name'], action: 'pause' | 'resume') => void} onTap
 */
function openCard({ name }, onTap) {
  const { title, ended } = words[name];
  let isPaused = false;
  const tap = button('Pause', () => onTap(name, isPaused ? 'resume' : 'pause'), { class: 'tap' });
  const badge = element('span', { class: 'badge' });
  const depth = element('strong', {});
  const line = openSparkline(`${title} that wait or are in hand, in the last minutes`);
  const figures = {
    active: element('dd', {}),
    delayed: element('dd', {}),
    oldest: element('dd', {}),
    rate: element('dd', {}),
  };
  const headingId = `queue-${name}`;
  const card = element(
    'section',
    { class: 'panel card', 'aria-labelledby': headingId },
    element('div', { class: 'card-head' }, element('h2', { id: headingId }, title), badge, tap),
    element('div', { class: 'depth' }, element('p', {}, depth, ' waiting'), line.element),
    element(
      'dl',
      { class: 'figures' },
      figureOf('In hand', figures.active),
      figureOf('Put off', figures.delayed),
      figureOf('Oldest waits', figures.oldest),
      figureOf(`${ended} per second`, figures.rate),
    ),
  );
  return {
    element: card,
    /** @param {Queue} queue */
    show({ waiting, backlog, active, delayed, paused, oldestAgeSeconds, ratePerSecond }) {
      isPaused = paused;
      badge.textContent = paused ? 'paused' : active > 0 ? 'working' : 'idle';
      badge.dataset.state = badge.textContent;
      tap.textContent = paused ? 'Resume' : 'Pause';
      tap.setAttribute('aria-label', `${tap.textContent} ${title.toLowerCase()}`);
      depth.textContent = (waiting + backlog).toLocaleString();
      line.add(waiting + backlog + active);
      figures.active.textContent = active.toLocaleString();
      figures.delayed.textContent = delayed.toLocaleString();
      figures.oldest.textContent = oldestAgeSeconds === null ? '–' : age(oldestAgeSeconds);
      figures.rate.textContent = ratePerSecond.toLocaleString(undefined, { maximumFractionDigits: 2 });
    },
  };
}

/**
 * @param {string} name
 * @param {HTMLElement} value
 */
function figureOf(name, value) {
  return element('div', {}, element('dt', {}, name), value);
}
