/** @import { Job, Page, Result, SucceededPage } from '../../../packages/client/src/types.ts' */
/** @import { openPicture } from './picture.js' */
import { button, element } from './dom.js';
import { counted, percent } from './format.js';
import { listLines } from './line-list.js';
import { showMicroBatches } from './micro-batches.js';
import { doubtBelow } from './picture.js';
import { showTimeline } from './timeline.js';

/**
 * Shows what was read: the lines of one page over the picture and as a list, the job's timeline, its micro-batches.
 *
 * @param {{
 *   job: Job,
 *   result: Result,
 *   picture: ReturnType<typeof openPicture>,
 *   places: { reading: HTMLElement, pages: HTMLElement },
 * }} read
 */
export function showReading({ job, result, picture, places }) {
  const lines = element('div', { class: 'page' });
  const behind = element('div', { class: 'behind' });
  places.reading.replaceChildren(lines, plainText(result), behind);
  /** @param {Page} page */
  const showPage = (page) => {
    const rides = result.microBatches ?? [];
    if (page.status === 'failed') {
      const text = `This page could not be read: ${page.error.message}`;
      lines.replaceChildren(element('p', { class: 'problem' }, text));
      picture.clear();
      behind.replaceChildren(showTimeline(job));
      return;
    }
    const mark = link(page, { picture, lines });
    behind.replaceChildren(showTimeline(job), ...showMicroBatches(rides, { page, onMark: mark }));
  };
  const [first] = result.pages;
  if (first !== undefined) showPage(first);
  choosePage(places.pages, result.pages, showPage);
}

/**
 * Ties a page's lines in the picture to those in the list. The function it returns marks the lines of these ids, and
 * with none what is marked otherwise.
 *
 * @param {SucceededPage} page
 * @param {{ picture: ReturnType<typeof openPicture>, lines: HTMLElement }} places
 */
function link(page, { picture, lines }) {
  /** What has the focus, and what the pointer is over: that comes first. @type {{ focused: string | undefined, hovered: string | undefined }} */
  const state = { focused: undefined, hovered: undefined };
  const update = () => {
    const id = state.hovered ?? state.focused;
    drawing.mark(new Set(id === undefined ? [] : [id]));
    list.mark(id);
  };
  const drawing = picture.draw(page, {
    onHover: (id) => {
      state.hovered = id;
      update();
      if (id !== undefined) list.reveal(id);
    },
    onPick: (id) => list.focus(id),
  });
  const list = listLines(page.lines, {
    onHover: (id) => {
      state.hovered = id;
      update();
    },
    onFocus: (id) => {
      state.focused = id;
      update();
    },
  });
  const doubtful = page.lines.filter(({ confidence }) => confidence < doubtBelow).length;
  const title = element('h2', {}, 'Lines');
  const summary =
    doubtful === 0
      ? `All were read with a confidence of ${percent(doubtBelow)} or more.`
      : `${counted(doubtful, 'line was', 'lines were')} read with a confidence below ${percent(doubtBelow)}: look at ${doubtful === 1 ? 'it' : 'them'}.`;
  lines.replaceChildren(
    title,
    element('p', { class: 'hint' }, page.lines.length === 0 ? 'There are none.' : summary),
    list.element,
  );
  return (/** @type {ReadonlySet<string>} */ ids) => (ids.size === 0 ? update() : drawing.mark(ids));
}

/** @param {Result} result */
function plainText({ text }) {
  return element(
    'details',
    { id: 'plain-text', class: 'plain' },
    element('summary', {}, 'Plain text'),
    element(
      'pre',
      { id: 'plain-text-content', tabindex: '0', 'aria-label': 'Plain text' },
      text.replaceAll('\f', '\n\n'),
    ),
  );
}

/**
 * @param {HTMLElement} place
 * @param {readonly Page[]} pages
 * @param {(page: Page) => void} show
 */
function choosePage(place, pages, show) {
  place.hidden = pages.length < 2;
  const buttons = pages.map((page, index) => {
    const label = `Page ${page.number}${page.status === 'failed' ? ', not read' : ''}`;
    const attributes = { 'aria-label': label, 'aria-pressed': String(index === 0) };
    const made = button(
      String(page.number),
      () => {
        for (const other of buttons) other.setAttribute('aria-pressed', String(other === made));
        show(page);
      },
      attributes,
    );
    return made;
  });
  place.replaceChildren(...buttons);
}
