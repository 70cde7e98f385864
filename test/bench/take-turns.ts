/** Something to measure that is up and warm, and runs only when told. */
export interface OpenLoad<F> {
  run(): Promise<F>;
  close(): Promise<void>;
}

/**
 * Opens all loads, then runs each once a round, in turns and never together, so that other work on the machine slows
 * each alike. Every other round goes backwards. Returns the figures by load and round.
 */
export async function takeTurns<F>(
  openings: readonly (() => Promise<OpenLoad<F>>)[],
  { rounds, onRound = () => {} }: { rounds: number; onRound?: (round: number, figures: F[]) => void },
): Promise<F[][]> {
  const loads: OpenLoad<F>[] = [];
  try {
    for (const open of openings) loads.push(await open());
    const found: F[][] = [];
    for (let round = 0; round < rounds; round++) {
      const forwards = round % 2 === 0;
      const figures: F[] = [];
      for (const load of forwards ? loads : loads.toReversed()) figures.push(await load.run());
      found.push(forwards ? figures : figures.toReversed());
      onRound(round + 1, found.at(-1) ?? []);
    }
    return loads.map((_, load) => found.flatMap((figures) => figures.slice(load, load + 1)));
  } finally {
    await Promise.all(loads.map((load) => load.close()));
  }
}
