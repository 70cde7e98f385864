/** @import { Line, SucceededPage } from '../../../packages/client/src/types.ts' */
import { drawn, element } from './dom.js';
import { percent } from './format.js';

/** Lines read with less are marked for somebody to look at. */
export const doubtBelow = 0.9;

/**
 * The picture in its place, and over it whatever is drawn later. Where the browser cannot show it, as with TIFF, the
 * lines are drawn on blank paper with their text.
 *
 * @param {HTMLElement} place
 * @param {File} file
 */
export function openPicture(place, file) {
  const url = URL.createObjectURL(file);
  const image = element('img', { alt: `The picture ${file.name}` });
  const balloon = element('p', { class: 'balloon', hidden: '', 'aria-hidden': 'true' });
  let isShown = true;
  image.addEventListener('error', () => {
    isShown = false;
    place.classList.add('blank');
    image.remove();
  });
  image.src = url;
  place.classList.remove('blank');
  place.replaceChildren(image, balloon);
  return {
    /**
     * Draws a page's lines; `onPick` is told of the one that the pointer is over, and of clicks.
     *
     * @param {SucceededPage} page
     * @param {{ onHover: (id: string | undefined) => void, onPick: (id: string) => void }} listeners
     */
    draw(page, listeners) {
      // A browser shows the first page of what it can show.
      const isBlank = !isShown || page.number !== 1;
      place.classList.toggle('blank', isBlank);
      const shapes = new Map(page.lines.map((line) => [line.id, shapeOf(line, isBlank)]));
      const overlay = drawn('svg', {
        viewBox: `0 0 ${page.width} ${page.height}`,
        preserveAspectRatio: 'none',
        'aria-hidden': 'true',
      });
      for (const [id, shape] of shapes) {
        shape.addEventListener('pointerenter', () => listeners.onHover(id));
        shape.addEventListener('pointerleave', () => listeners.onHover(undefined));
        shape.addEventListener('click', () => listeners.onPick(id));
        overlay.append(shape);
      }
      place.replaceChildren(...(isBlank ? [] : [image]), overlay, balloon);
      return {
        /** @param {ReadonlySet<string>} ids */
        mark(ids) {
          for (const [id, shape] of shapes) shape.classList.toggle('marked', ids.has(id));
          const [only] = ids.size === 1 ? ids : [];
          const line = page.lines.find(({ id }) => id === only);
          balloon.hidden = line === undefined;
          if (line !== undefined) putBalloon(balloon, line, page);
        },
      };
    },
    /** For a page of which there is nothing to be shown. */
    clear() {
      place.classList.add('blank');
      place.replaceChildren();
    },
    close() {
      URL.revokeObjectURL(url);
      place.replaceChildren();
    },
  };
}

/**
 * @param {Line} line
 * @param {boolean} withText
 */
function shapeOf({ polygon, bbox, text, confidence }, withText) {
  const points = polygon.join(' ');
  const shape = drawn(
    'g',
    { class: confidence < doubtBelow ? 'line doubt' : 'line' },
    drawn('polygon', { points }),
  );
  const [left = 0, top = 0, right = 0, bottom = 0] = bbox;
  if (withText && right > left) {
    const height = bottom - top;
    const place = { x: left, y: bottom - height * 0.22, 'font-size': height * 0.8 };
    shape.append(
      drawn('text', { ...place, textLength: right - left, lengthAdjust: 'spacingAndGlyphs' }, text),
    );
  }
  return shape;
}

/**
 * @param {HTMLElement} balloon
 * @param {Line} line
 * @param {SucceededPage} page
 */
function putBalloon(balloon, { text, confidence, bbox }, { width, height }) {
  const [left = 0, top = 0, right = 0, bottom = 0] = bbox;
  balloon.replaceChildren(text, element('span', {}, percent(confidence)));
  const isLow = bottom / height > 0.85;
  balloon.classList.toggle('above', isLow);
  // Within the picture whatever the line's place: it hangs from its middle, kept off the edges.
  balloon.style.left = `${Math.min(80, Math.max(20, ((left + right) / 2 / width) * 100))}%`;
  balloon.style.top = `${((isLow ? top : bottom) / height) * 100}%`;
}
