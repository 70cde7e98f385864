import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Quad } from '@glyphmill/core/geometry';
import { orderLines, pageText } from '@glyphmill/core/layout';
import fc from 'fast-check';

interface Line {
  readonly quad: Quad;
  readonly text: string;
}

const page = { width: 1000, height: 1000 };

function line(text: string, left: number, top: number, width: number, height = 20): Line {
  return { text, quad: [left, top, left + width, top, left + width, top + height, left, top + height] };
}

/** The line turned about the page's origin. */
function turned({ quad, text }: Line, degrees: number): Line {
  const cos = Math.cos((degrees * Math.PI) / 180);
  const sin = Math.sin((degrees * Math.PI) / 180);
  const [x1, y1, x2, y2, x3, y3, x4, y4] = quad;
  const x = (px: number, py: number) => px * cos - py * sin;
  const y = (px: number, py: number) => px * sin + py * cos;
  return {
    text,
    quad: [x(x1, y1), y(x1, y1), x(x2, y2), y(x2, y2), x(x3, y3), y(x3, y3), x(x4, y4), y(x4, y4)],
  };
}

function read(lines: readonly Line[]): string[] {
  return pageText(orderLines([...lines].reverse(), page)).split('\n');
}

const table = ['Bolt 4 1.20', 'Washer 50 0.03', 'Bracket 2 7.99', 'Paint 1 12.50', 'Total 4 3.99'].flatMap(
  (row, i) => {
    const [name = '', count = '', price = ''] = row.split(' ');
    return [
      line(name, 50, 100 + i * 40, 120),
      line(count, 500, 100 + i * 40, 30),
      line(price, 800, 102 + i * 40, 60),
    ];
  },
);

const columns = [
  line('title', 100, 20, 800, 40),
  ...Array.from({ length: 6 }, (_, i) => line(`left ${i}`, 50, 100 + i * 30, 420)),
  ...Array.from({ length: 6 }, (_, i) => line(`right ${i}`, 530, 100 + i * 30, i === 5 ? 150 : 420)),
  line('footer', 100, 400, 800),
];

test('the cells of a table stay in their rows', () => {
  assert.deepEqual(read(table), [
    'Bolt 4 1.20',
    'Washer 50 0.03',
    'Bracket 2 7.99',
    'Paint 1 12.50',
    'Total 4 3.99',
  ]);
});

test('columns of prose are read one after the other, between what runs across both', () => {
  const expected = [0, 1, 2, 3, 4, 5];
  assert.deepEqual(read(columns), [
    'title',
    ...expected.map((i) => `left ${i}`),
    ...expected.map((i) => `right ${i}`),
    'footer',
  ]);
});

test('three columns are read one after the other', () => {
  const lines = [50, 360, 670].flatMap((left, column) =>
    Array.from({ length: 5 }, (_, i) => line(`${column}.${i}`, left, 100 + i * 30, 270)),
  );
  assert.deepEqual(
    read(lines),
    lines.map(({ text }) => text),
  );
});

test('a side bar whose lines stand level with nothing is read before what stands beside it', () => {
  const bar = Array.from({ length: 6 }, (_, i) => line(`bar ${i}`, 20, 100 + i * 37, 80));
  const rows = Array.from({ length: 5 }, (_, i) => [
    line(`a${i}`, 300, 115 + i * 44, 60),
    line(`b${i}`, 600, 115 + i * 44, 60),
  ]);
  assert.deepEqual(read([...bar, ...rows.flat()]), [
    ...bar.map(({ text }) => text),
    ...rows.map((row) => row.map(({ text }) => text).join(' ')),
  ]);
});

test('tables and columns read the same on pages that stand askew', () => {
  for (const degrees of [-8, -3, 2, 5]) {
    for (const lines of [table, columns]) {
      const long = line('a long line tells the angle', 50, 500, 700);
      assert.deepEqual(read([...lines, long].map((one) => turned(one, degrees))), read([...lines, long]));
    }
  }
});

test('a large price stands in the row of its small label', () => {
  assert.deepEqual(
    read([line('Total', 50, 112, 60, 16), line('$5', 400, 100, 80, 40), line('next', 50, 150, 50)]),
    ['Total $5', 'next'],
  );
});

test('each line comes out exactly once, whatever the page holds', () => {
  const coordinate = fc.double({ min: 0, max: 1000, noNaN: true });
  const quad = fc.tuple(
    coordinate,
    coordinate,
    coordinate,
    coordinate,
    coordinate,
    coordinate,
    coordinate,
    coordinate,
  );
  fc.assert(
    fc.property(fc.array(quad, { maxLength: 60 }), (quads) => {
      const lines = quads.map((corners, id) => ({ quad: corners, id }));
      const ids = orderLines(lines, page).flatMap((row) => row.map(({ id }) => id));
      assert.deepEqual(
        ids.sort((a, b) => a - b),
        lines.map(({ id }) => id),
      );
    }),
  );
});

test('the order of detection does not matter', () => {
  const lines = fc.shuffledSubarray([...table, ...columns.map((one) => ({ ...one, text: `c ${one.text}` }))]);
  fc.assert(
    fc.property(lines, (some) => {
      assert.deepEqual(read(some), read([...some].reverse()));
    }),
  );
});

test('text joins cells with spaces and rows with line feeds, without empty readings', () => {
  const cell = (text: string) => ({ text });
  assert.equal(pageText([[cell('a'), cell(''), cell('b')], [cell('')], [cell('c')]]), 'a b\nc');
  assert.equal(pageText([]), '');
  assert.deepEqual(orderLines([], page), []);
});

test('a head line from side to side is read before the side bar below it', () => {
  const head = [line('Console', 20, 20, 90), line('Menu', 140, 20, 60), line('User', 800, 20, 60)];
  const bar = Array.from({ length: 6 }, (_, i) => line(`bar ${i}`, 20, 100 + i * 37, 80));
  const rows = Array.from({ length: 5 }, (_, i) => [
    line(`a${i}`, 300, 115 + i * 44, 60),
    line(`b${i}`, 600, 115 + i * 44, 60),
  ]);
  assert.deepEqual(read([...head, ...bar, ...rows.flat()]), [
    'Console Menu User',
    ...bar.map(({ text }) => text),
    ...rows.map((row) => row.map(({ text }) => text).join(' ')),
  ]);
});

test('rows that fan out, as on a page seen at an angle, stay rows', () => {
  const fanned = ({ quad, text }: Line): Line => {
    const y = (px: number, py: number) => py + px * (py - 300) * 0.0003;
    const [x1, y1, x2, y2, x3, y3, x4, y4] = quad;
    return { text, quad: [x1, y(x1, y1), x2, y(x2, y2), x3, y(x3, y3), x4, y(x4, y4)] };
  };
  const prose = Array.from({ length: 8 }, (_, i) => line(`prose ${i}`, 50, 340 + i * 40, 800));
  const lines = [...table, ...prose];
  assert.deepEqual(read(lines.map(fanned)), read(lines));
});
