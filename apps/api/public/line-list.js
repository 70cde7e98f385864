/** @import { Line } from '../../../packages/client/src/types.ts' */
import { element } from './dom.js';
import { percent } from './format.js';
import { doubtBelow } from './picture.js';

/**
 * The lines as a list that the arrow keys walk through. `onHover` and `onFocus` are told of a line's id, or undefined
 * when it is left.
 *
 * @param {readonly Line[]} lines
 * @param {Record<'onHover' | 'onFocus', (id: string | undefined) => void>} listeners
 */
export function listLines(lines, { onHover, onFocus }) {
  const list = element('div', { role: 'listbox', class: 'lines', 'aria-label': 'Lines of text' });
  const options = new Map(lines.map((line, index) => [line.id, optionOf(line, index)]));
  const inOrder = [...options.values()];
  for (const [id, option] of options) {
    option.addEventListener('pointerenter', () => onHover(id));
    option.addEventListener('pointerleave', () => onHover(undefined));
    option.addEventListener('focus', () => {
      for (const other of inOrder) {
        other.tabIndex = other === option ? 0 : -1;
        other.setAttribute('aria-selected', String(other === option));
      }
      onFocus(id);
    });
    option.addEventListener('blur', () => onFocus(undefined));
  }
  list.append(...inOrder);
  list.addEventListener('keydown', (event) => {
    const at = [...list.children].indexOf(document.activeElement ?? list);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: inOrder.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    inOrder[Math.min(inOrder.length - 1, Math.max(0, to))]?.focus();
  });
  return {
    element: list,
    /** @param {string | undefined} id */
    mark(id) {
      for (const [of, option] of options) option.classList.toggle('marked', of === id);
    },
    /** Scrolls the list, and not the page. @param {string} id */
    reveal(id) {
      const option = options.get(id);
      if (option === undefined) return;
      const above = list.scrollTop - option.offsetTop;
      const below = option.offsetTop + option.offsetHeight - list.scrollTop - list.clientHeight;
      if (above > 0) list.scrollTop -= above;
      else if (below > 0) list.scrollTop += below;
    },
    /** @param {string} id */
    focus: (id) => options.get(id)?.focus(),
  };
}

/**
 * @param {Line} line
 * @param {number} index
 */
function optionOf({ text, confidence }, index) {
  const isDoubtful = confidence < doubtBelow;
  const told = element('span', { class: 'confidence' }, percent(confidence));
  if (isDoubtful) told.prepend(element('span', { class: 'flag' }, 'look '));
  const attributes = {
    role: 'option',
    class: isDoubtful ? 'doubt' : '',
    tabindex: index === 0 ? '0' : '-1',
    'aria-selected': 'false',
  };
  return element('div', attributes, element('span', { class: 'text', dir: 'auto' }, text), told);
}
