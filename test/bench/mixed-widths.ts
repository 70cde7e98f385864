import type { Measurement, ModelBenchContext } from './bench-measurement.ts';
import { times } from './figure-text.ts';
import { describeWidths, mixLines } from './line-mix.ts';
import { type MixedFigures, type MixedLoad, openBucketed, openUnsorted } from './mixed-load.ts';
import { linesOf } from './sample-lines.ts';
import { accuracyOf } from './sample-text.ts';
import { median, medianRatio } from './statistics.ts';
import { takeTurns } from './take-turns.ts';

const instances = 2;
const target = 2;

/**
 * What the width ladder and the buckets gain on lines of mixed widths: the worker path over bare processes that run
 * unsorted batches of 16 padded to their widest, as many processes as instances, with the same imported model. And the
 * text both ways, on all lines of the samples.
 */
export async function measureWidths(context: ModelBenchContext): Promise<Measurement> {
  const speed = await compareSpeed(context);
  const text = await compareText(context);
  const { gain, cpuMsPerLine, linesPerSecond, mix } = speed;
  const { bucketed, unsorted } = text;
  return {
    figures: { ...speed, text },
    rows: [
      {
        what: `mixed widths (10/50/90 % under ${mix.percentile10}/${mix.percentile50}/${mix.percentile90} px, up to ${mix.widest}): worker ÷ unsorted batches of 16 padded to their widest, imported model both`,
        figure: `${times(gain.bySpeed)} the lines/s (${linesPerSecond.bucketed.toFixed(1)}, ${linesPerSecond.unsorted.toFixed(1)}); ${times(gain.byCpu)} by CPU time (${cpuMsPerLine.bucketed.toFixed(1)}, ${cpuMsPerLine.unsorted.toFixed(1)} ms a line)`,
        target: { text: `≥ ${target} ×`, met: gain.bySpeed >= target },
      },
      {
        what: `characters read wrong on ${text.lines} lines of ${bucketed.all.documents} samples: worker, those unsorted batches`,
        figure: `${percentages(bucketed)}, ${percentages(unsorted)}`,
        target: {
          text: 'no worse',
          met: bucketed.all.characterErrorRate <= unsorted.all.characterErrorRate,
        },
      },
    ],
  };
}

async function compareSpeed({ quick, repository, documents, note }: ModelBenchContext) {
  const [rounds, count] = quick ? [1, 64] : [5, 240];
  const lines = mixLines(linesOf(await documents()), count);
  const [bucketed, unsorted] = await readBothWays({ repository, instances, lines }, { rounds, note });
  const speeds = { bucketed: bucketed.map(speedOf), unsorted: unsorted.map(speedOf) };
  const costs = { bucketed: bucketed.map(costOf), unsorted: unsorted.map(costOf) };
  return {
    setting: { instances, threads: 1, rounds },
    mix: describeWidths(lines),
    gain: {
      bySpeed: medianRatio(speeds.bucketed, speeds.unsorted),
      byCpu: medianRatio(costs.unsorted, costs.bucketed),
    },
    linesPerSecond: { bucketed: median(speeds.bucketed), unsorted: median(speeds.unsorted) },
    cpuMsPerLine: { bucketed: median(costs.bucketed), unsorted: median(costs.unsorted) },
    batches: { bucketed: bucketed[0]?.batches, unsorted: unsorted[0]?.batches },
    eachRound: { linesPerSecond: speeds, cpuMsPerLine: costs },
  };
}

async function compareText({ quick, repository, documents, note }: ModelBenchContext) {
  const samples = (await documents()).filter((_, i) => !quick || i % 2 === 0);
  const lines = linesOf(samples);
  note(`text of ${lines.length} lines`);
  const [[bucketed], [unsorted]] = await readBothWays({ repository, instances, lines }, { rounds: 1, note });
  return {
    lines: lines.length,
    bucketed: accuracyOf(samples, bucketed?.readings ?? []),
    unsorted: accuracyOf(samples, unsorted?.readings ?? []),
  };
}

async function readBothWays(
  load: MixedLoad,
  { rounds, note }: { rounds: number; note: (text: string) => void },
): Promise<[MixedFigures[], MixedFigures[]]> {
  const [bucketed = [], unsorted = []] = await takeTurns(
    [() => openBucketed(load), () => openUnsorted(load)],
    {
      rounds,
      onRound: (round, figures) =>
        note(`round ${round} of ${rounds}: worker, unsorted ${figures.map(describe).join('; ')}`),
    },
  );
  return [bucketed, unsorted];
}

const speedOf = ({ linesPerSecond }: MixedFigures) => linesPerSecond;
const costOf = ({ cpuMsPerLine }: MixedFigures) => cpuMsPerLine;

function describe({ linesPerSecond, cpuMsPerLine, batches }: MixedFigures): string {
  return `${linesPerSecond.toFixed(1)} lines/s, ${cpuMsPerLine.toFixed(1)} ms CPU a line in ${batches} batches`;
}

function percentages({ all, latin, chinese, mixed }: ReturnType<typeof accuracyOf>): string {
  const [overall, ...scripts] = [all, latin, chinese, mixed].map(
    (each) => `${(each.characterErrorRate * 100).toFixed(2)}`,
  );
  return `${overall} % (Latin, Chinese, mixed: ${scripts.join(', ')})`;
}
