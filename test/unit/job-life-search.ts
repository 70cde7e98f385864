// Looks for a history that goes wrong, and for a short one that does so in the same way.

import type { Fault } from './job-life-faults.ts';
import { Violation } from './job-life-model.ts';
import { type LifeOptions, playLife } from './job-life-simulation.ts';

export interface Found {
  options: LifeOptions;
  violation: Violation;
}

/** To shorten it in one way. */
const tries = { from: 0, seeds: 200 };
const mostLines = 80;

/** The first of `seeds` histories that goes wrong. */
export function search(
  options: Omit<LifeOptions, 'seed'>,
  { from, seeds }: { from: number; seeds: number },
): Found | undefined {
  for (let seed = from; seed < from + seeds; seed += 1) {
    const found = { ...options, seed };
    try {
      playLife(found);
    } catch (error) {
      if (error instanceof Violation) return { options: found, violation: error };
      throw error;
    }
  }
  return undefined;
}

/** With as few jobs and kinds of faults as some history needs to go wrong. */
export function shorten(found: Found): Found {
  let shortest = found;
  for (const jobs of [1, 2]) {
    if (jobs < shortest.options.jobs) shortest = search({ ...shortest.options, jobs }, tries) ?? shortest;
  }
  for (const fault of shortest.options.faults) {
    const faults: ReadonlySet<Fault> = new Set(
      [...shortest.options.faults].filter((other) => other !== fault),
    );
    shortest = search({ ...shortest.options, faults }, tries) ?? shortest;
  }
  return shortest;
}

/** The seed, what went wrong, and what led to it: the steps that name the job, and what befell everybody. */
export function describe({ options, violation }: Found): string {
  const lines: string[] = [];
  const name = new RegExp(`\\b${violation.jobId}\\b`);
  try {
    playLife({
      ...options,
      onStep: ({ timeMs, who, text }) => {
        const isWanted = violation.jobId === '' || name.test(text) || !text.includes(': ');
        if (isWanted) lines.push(`${String(timeMs).padStart(8)} ms  ${who.padEnd(10)} ${text}`);
      },
    });
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
  }
  const { seed, jobs, faults } = options;
  const heading = `${violation.message} (seed ${seed}, ${jobs} jobs, faults: ${[...faults].join(', ') || 'none'})`;
  const left = lines.slice(-mostLines);
  const gap = left.length < lines.length ? [`         … ${lines.length - left.length} steps before`] : [];
  return [heading, ...gap, ...left].join('\n');
}
