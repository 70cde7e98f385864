/** @import { Stats } from '../../../packages/contract/src/stats.ts' */
import { element } from './dom.js';
import { share } from './format.js';

/** Colours are told apart by their order and names too. @type {Record<string, string>} */
const reasons = {
  size: 'full',
  preferred: 'preferred size',
  delay: 'waited long enough',
  idle: 'idle instance',
  drain: 'worker ending',
};

/**
 * How full the micro-batches of the last minute were, by model.
 *
 * @param {HTMLElement} place
 * @param {Stats['microBatches']} models
 */
export function showBatches(place, models) {
  const title = element('h2', {}, 'Micro-batches');
  const about = element('p', { class: 'hint' }, 'Of all workers, in the last minute.');
  if (models.length === 0) {
    const empty = element(
      'p',
      { class: 'empty' },
      'None ran. Read a picture, or submit some jobs, and their lines appear here.',
    );
    place.replaceChildren(title, about, empty);
    return;
  }
  const rows = models.map(
    ({ model, version, fill, meanSize, itemsPerSecond, batchesPerSecond, triggers }) => {
      const bar = element('span', { class: 'fill', 'aria-hidden': 'true' }, element('span', {}));
      if (bar.firstElementChild instanceof HTMLElement) bar.firstElementChild.style.width = `${fill * 100}%`;
      const all = Object.values(triggers).reduce((sum, count) => sum + count, 0);
      const why = Object.entries(triggers)
        .sort(([, a], [, b]) => b - a)
        .map(([name, count]) => `${reasons[name] ?? name} ${share(count / all)}`);
      return element(
        'tr',
        {},
        element('th', { scope: 'row' }, model, ' ', element('span', { class: 'version' }, `v${version}`)),
        cell('Fill', bar, share(fill)),
        cell('Mean size', String(meanSize)),
        cell('Items/s', String(itemsPerSecond)),
        cell('Batches/s', String(batchesPerSecond)),
        cell('Went because', why.join(', ')),
      );
    },
  );
  const names = ['Model', 'Fill', 'Mean size', 'Items/s', 'Batches/s', 'Went because'];
  const head = element(
    'thead',
    {},
    element('tr', {}, ...names.map((name) => element('th', { scope: 'col' }, name))),
  );
  place.replaceChildren(title, about, element('table', {}, head, element('tbody', {}, ...rows)));
}

/**
 * @param {string} name shown beside the value where the table is too narrow for columns
 * @param {...(Node | string)} children
 */
function cell(name, ...children) {
  return element('td', { 'data-name': name }, element('span', {}, ...children));
}
