import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runKills } from './kills.ts';
import { matrix } from './matrix.ts';
import { runRandom } from './random.ts';
import type { Group, Row } from './row.ts';
import { type Outcome, outcomeLine, runGroups } from './run.ts';
import { closeFaultSystems } from './system.ts';

const usage = `npm run test:faults -- [--rows <list>] [--at-once <n>]
                        --kills <n> [--jobs <n>] [--redis]
                        --random [--minutes <n>] [--seed <n>]

The fault matrix, one line for each row: what is done to the system, what is promised, how long it took.

  --rows <list>    of these numbers, for example 1,13,24; default: all
  --at-once <n>    systems side by side; default: 3
  --kills <n>      instead: so many SIGKILLs of workers and API while jobs go through; with --redis of Redis too
  --jobs <n>       default: 5000
  --random         instead: faults drawn by chance while jobs go through
  --minutes <n>    default: 30
  --seed <n>       draws the same faults again; default: a new one, which is printed

Exit codes: 0 every promise was kept or skipped with a reason; 1 one was broken.
`;

/** Systems side by side: most rows wait, and few compute. */
const defaultAtOnce = 3;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean' },
    rows: { type: 'string' },
    'at-once': { type: 'string' },
    kills: { type: 'string' },
    jobs: { type: 'string' },
    redis: { type: 'boolean' },
    random: { type: 'boolean' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
  },
});
const wanted = values.rows?.split(',').map(Number);
const isWanted = ({ number }: Row) => wanted === undefined || wanted.includes(number);
const groups: Group[] = matrix
  .map((group) => ({ ...group, rows: group.rows.filter(isWanted) }))
  .filter(({ rows }) => rows.length > 0);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Redis is a process of its own, which would outlive this one.
  process.once(signal, () => void closeFaultSystems().finally(() => process.exit(1)));
}

if (values.help) process.stdout.write(usage);
else if (values.random) {
  const { minutes = '30', seed = `${randomInt(1e6)}` } = values;
  await runRandom({ minutes: Number(minutes), seed: Number(seed), say: console.log });
} else if (values.kills !== undefined) {
  const { kills, jobs = '5000', redis = false } = values;
  await runKills({ kills: Number(kills), jobs: Number(jobs), withRedis: redis, say: console.log });
} else await runMatrix();

async function runMatrix(): Promise<void> {
  const outcomes: Outcome[] = [];
  await runGroups(groups, {
    atOnce: Number(values['at-once'] ?? defaultAtOnce),
    onOutcome: (outcome) => {
      outcomes.push(outcome);
      console.log(outcomeLine(outcome));
    },
  });
  const count = (result: Outcome['result']) => outcomes.filter((outcome) => outcome.result === result).length;
  const skipped = count('skipped') === 0 ? '' : `, ${count('skipped')} skipped`;
  console.log(`${count('passed')} passed, ${count('failed')} failed${skipped}`);
  if (outcomes.length === 0 || count('failed') > 0) process.exitCode = 1;
}
