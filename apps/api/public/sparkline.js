import { drawn } from './dom.js';

/** Two seconds apart: five minutes. */
const kept = 150;
const width = 300;
const height = 56;

/**
 * A line of the latest values, from this page's opening on.
 *
 * @param {string} label
 */
export function openSparkline(label) {
  /** @type {number[]} */
  const values = [];
  const area = drawn('path', { class: 'area' });
  const line = drawn('path', { class: 'course' });
  const box = {
    viewBox: `0 0 ${width} ${height}`,
    preserveAspectRatio: 'none',
    class: 'sparkline',
    role: 'img',
  };
  const picture = drawn('svg', { ...box, 'aria-label': label }, area, line);
  return {
    element: picture,
    /** @param {number} value */
    add(value) {
      values.push(value);
      if (values.length > kept) values.shift();
      const most = Math.max(1, ...values);
      const step = width / (kept - 1);
      const from = width - (values.length - 1) * step;
      const points = values.map(
        (one, index) =>
          `${(from + index * step).toFixed(1)},${(height - 2 - (one / most) * (height - 6)).toFixed(1)}`,
      );
      line.setAttribute('d', `M${points.join('L')}`);
      area.setAttribute('d', `M${from.toFixed(1)},${height}L${points.join('L')}L${width},${height}Z`);
    },
  };
}
