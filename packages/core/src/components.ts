/** Horizontal runs of cells in order of rows, then columns; `end` is exclusive, `owner` numbers the component. */
export interface Runs {
  readonly count: number;
  readonly row: Int32Array;
  readonly start: Int32Array;
  readonly end: Int32Array;
  readonly owner: Int32Array;
}

/** Connected sets of cells; entry i of each array describes component i. All bounds are inclusive. */
export interface Components {
  readonly count: number;
  readonly cells: Int32Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly top: Int32Array;
  readonly bottom: Int32Array;
  readonly runs: Runs;
}

/**
 * Components (eight neighbours) of the cells above `threshold`, found run by run with union-find: time and memory
 * are linear in the map's size, whatever it holds. NaN counts as below the threshold.
 */
export function connectedComponents(
  map: Float32Array,
  { width, height }: { width: number; height: number },
  threshold: number,
): Components {
  const most = Math.ceil(width / 2) * height;
  const row = new Int32Array(most);
  const start = new Int32Array(most);
  const end = new Int32Array(most);
  const parent = new Int32Array(most);
  let count = 0;
  let rowAbove = 0;
  for (let y = 0; y < height; y++) {
    const rowStart = count;
    const base = y * width;
    let neighbour = rowAbove;
    for (let x = 0; x < width; x++) {
      if (!((map[base + x] ?? 0) > threshold)) continue;
      const from = x;
      while (x < width && (map[base + x] ?? 0) > threshold) x++;
      row[count] = y;
      start[count] = from;
      end[count] = x;
      parent[count] = count;
      // Runs touch where one begins no later than the cell after the other's end: corners count.
      while (neighbour < rowStart && (end[neighbour] ?? 0) < from) neighbour++;
      for (let i = neighbour; i < rowStart && (start[i] ?? 0) <= x; i++) unite(parent, i, count);
      count++;
    }
    rowAbove = rowStart;
  }
  return describe({ count, row, start, end, owner: parent });
}

function unite(parent: Int32Array, a: number, b: number): void {
  const rootA = root(parent, a);
  const rootB = root(parent, b);
  // The earlier run stays the root, so roots are met before the runs they own.
  if (rootA < rootB) parent[rootB] = rootA;
  else parent[rootA] = rootB;
}

function root(parent: Int32Array, index: number): number {
  let i = index;
  for (;;) {
    const above = parent[i] ?? 0;
    if (above === i) return i;
    const next = parent[above] ?? 0;
    parent[i] = next;
    i = next;
  }
}

/** Turns `owner` from union-find parents into component numbers and gathers the bounds. */
function describe(runs: Runs): Components {
  const { row, start, end, owner } = runs;
  let count = 0;
  for (let i = 0; i < runs.count; i++) if (owner[i] === i) count++;
  const cells = new Int32Array(count);
  const left = new Int32Array(count).fill(0x7fffffff);
  const right = new Int32Array(count);
  const top = new Int32Array(count);
  const bottom = new Int32Array(count);
  const numbers = new Int32Array(runs.count);
  let next = 0;
  for (let i = 0; i < runs.count; i++) {
    const from = start[i] ?? 0;
    const to = end[i] ?? 0;
    const y = row[i] ?? 0;
    const first = root(owner, i);
    if (first === i) {
      top[next] = y;
      numbers[i] = next++;
    }
    const number = numbers[first] ?? 0;
    numbers[i] = number;
    cells[number] = (cells[number] ?? 0) + to - from;
    if (from < (left[number] ?? 0)) left[number] = from;
    if (to - 1 > (right[number] ?? 0)) right[number] = to - 1;
    bottom[number] = y;
  }
  return { count, cells, left, right, top, bottom, runs: { ...runs, owner: numbers } };
}
