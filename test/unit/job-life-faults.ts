// What goes wrong in a simulated life of jobs, and how often.

import type { Process } from './job-life-model.ts';

/** What goes wrong while the faults last. */
export type Fault =
  | 'death'
  | 'pause'
  | 'slow'
  | 'outage'
  | 'unknown'
  | 'twice'
  | 'refused'
  | 'clock'
  | 'shutdown'
  | 'lost-message';

export const everyFault: ReadonlySet<Fault> = new Set([
  'death',
  'pause',
  'slow',
  'outage',
  'unknown',
  'twice',
  'refused',
  'clock',
  'shutdown',
  'lost-message',
]);

/** Those that strike at one command. */
export type StrikingFault =
  | Exclude<Fault, 'death' | 'slow' | 'lost-message'>
  | 'death before'
  | 'death after';

export interface FaultOptions {
  faults: ReadonlySet<Fault>;
  /** How much likelier than usual each is. */
  times?: number | undefined;
  /** Strikes at just this command of the history, whatever else does; counted from 1. */
  strike?: { command: number; fault: StrikingFault } | undefined;
}

/** How likely each is to strike at a command. */
const likelihood: readonly (readonly [StrikingFault, number])[] = [
  ['death before', 0.01],
  ['death after', 0.01],
  ['pause', 0.02],
  ['outage', 0.004],
  ['unknown', 0.03],
  ['twice', 0.03],
  ['refused', 0.02],
  ['clock', 0.01],
  ['shutdown', 0.01],
];

/** A caller of the API hears that Redis is away, and a worker waits for it; errors are as good as that to callers. */
const onlyOf: Partial<Record<StrikingFault, Process['kind']>> = {
  unknown: 'api',
  refused: 'worker',
  shutdown: 'worker',
};

/** Share of the commands that take much longer than usual, so that others overtake them. */
export const slowShare = 0.25;
/** What everybody does all the time, mostly in vain, is not worth as many faults. */
const pollShare = 0.2;
const polls = ['fetches', 'takes jobs', 'looks for', 'hands out'];

/** At most one fault strikes at a command. `calm`: none does any more. */
export function drawFault(
  { faults, times = 1, strike }: FaultOptions,
  at: { command: number; what: string; kind: Process['kind']; calm: boolean; uniform: () => number },
): StrikingFault | undefined {
  if (strike?.command === at.command && isPossible(strike.fault, at.kind)) return strike.fault;
  if (at.calm || faults.size === 0) return undefined;
  let left = at.uniform() / times;
  if (isPoll(at.what)) left /= pollShare;
  for (const [fault, probability] of likelihood) {
    left -= probability;
    if (left < 0) return isPossible(fault, at.kind) && faults.has(kindOf(fault)) ? fault : undefined;
  }
  return undefined;
}

export function isPoll(what: string): boolean {
  return polls.some((poll) => what.startsWith(poll));
}

function isPossible(fault: StrikingFault, kind: Process['kind']): boolean {
  return onlyOf[fault] === undefined || onlyOf[fault] === kind;
}

function kindOf(fault: StrikingFault): Fault {
  return fault === 'death before' || fault === 'death after' ? 'death' : fault;
}
