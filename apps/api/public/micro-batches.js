/** @import { MicroBatch, SucceededPage } from '../../../packages/client/src/types.ts' */
import { element } from './dom.js';
import { counted, duration } from './format.js';

/** More are in the JSON: a page to look at is not the place for hundreds. */
const shownMax = 24;
/** A model that takes more at once gets a bar instead of a square for each. */
const squaresMax = 32;

/** @type {Record<MicroBatch['trigger'], string>} */
const reasons = {
  size: 'it was full, or nothing more fitted',
  preferred: 'it had a size the model likes',
  delay: 'the oldest had waited long enough',
  idle: 'an instance had nothing to do',
  drain: 'the worker was about to end',
};

/**
 * The micro-batches that the document rode in: filled squares are its own lines, hollow ones those of others.
 *
 * @param {readonly MicroBatch[]} rides
 * @param {{ page: SucceededPage, onMark: (ids: ReadonlySet<string>) => void }} options `onMark` is told which lines rode
 *   in the one looked at, and nothing when it is left
 */
export function showMicroBatches(rides, { page, onMark }) {
  if (rides.length === 0) return [];
  const rows = rides.slice(0, shownMax).map((ride) => {
    const row = rowOf(ride);
    const ids = new Set(page.lines.flatMap(({ id, microBatch }) => (microBatch === ride.id ? [id] : [])));
    const on = () => onMark(ids);
    const off = () => onMark(new Set());
    row.addEventListener('pointerenter', on);
    row.addEventListener('pointerleave', off);
    row.addEventListener('focus', on);
    row.addEventListener('blur', off);
    return element('li', {}, row);
  });
  const more = rides.length - rows.length;
  return [
    element(
      'section',
      {},
      element('h2', {}, 'Micro-batches'),
      element(
        'p',
        { class: 'hint' },
        'What the models ran at once: ',
        element('span', { class: 'square own', 'aria-hidden': 'true' }),
        ' of this picture, ',
        element('span', { class: 'square other', 'aria-hidden': 'true' }),
        ' of others, ',
        element('span', { class: 'square', 'aria-hidden': 'true' }),
        ' left empty.',
      ),
      element('ol', { class: 'rides' }, ...rows),
      ...(more > 0 ? [element('p', { class: 'hint' }, `${more} more are in the JSON.`)] : []),
    ),
  ];
}

/** @param {MicroBatch} ride */
function rowOf({ role, size, own, fill, trigger, queueDelayMs, runMs }) {
  const what = counted(own, role === 'detect' ? 'page' : 'line');
  const others = size === own ? '' : ` and ${size - own} of others`;
  const text = `${what}${others}. Waited ${duration(queueDelayMs)}; it went because ${reasons[trigger]}.`;
  return element(
    'div',
    { class: 'ride', tabindex: '0' },
    element('span', { class: 'role' }, role === 'detect' ? 'Find lines' : 'Read lines'),
    squares({ own, size, capacity: Math.max(size, Math.round(size / fill)) }),
    element('span', { class: 'figure' }, duration(runMs)),
    element('span', { class: 'told' }, text),
  );
}

/** @param {{ own: number, size: number, capacity: number }} batch */
function squares({ own, size, capacity }) {
  if (capacity > squaresMax) {
    const meter = element('meter', {
      min: '0',
      max: String(capacity),
      value: String(size),
      'aria-label': 'Fill',
    });
    return element('span', { class: 'squares' }, meter);
  }
  const kinds = Array.from({ length: capacity }, (_, index) =>
    index < own ? ' own' : index < size ? ' other' : '',
  );
  return element(
    'span',
    { class: 'squares', 'aria-hidden': 'true' },
    ...kinds.map((kind) => element('span', { class: `square${kind}` })),
  );
}
