import type { HpaOptions } from '@glyphmill/core/hpa';
import { type LoadStep, simulateScaling } from '@glyphmill/core/simulate-scaling';
import { Command, InvalidArgumentError } from 'commander';
import { CliError } from './cli-error.ts';
import { readHpa, readLoad } from './scaling-input.ts';
import { hours, renderScaling } from './scaling-text.ts';

interface ScalingOptions {
  json?: true;
  hpa?: string;
  base: number;
  burst: number;
  burstAt: number;
  burstSeconds: number;
  seconds?: number;
  rate: number;
  target?: number;
  min: number;
  max: number;
  podStart: number;
  metricAge: number;
  sync: number;
  tolerance: number;
  objective: number;
  podPrice?: number;
  keda?: true;
}

/**
 * What the chart renders unless its values say otherwise. No faster up than new pods can show what they do, or more are
 * asked for because those asked for already are not there yet; down one by one, since a pod that comes back costs a start.
 */
const ourRules = {
  scaleUp: {
    stabilizationWindowSeconds: 0,
    policies: [
      { type: 'Percent' as const, value: 100, periodSeconds: 60 },
      { type: 'Pods' as const, value: 4, periodSeconds: 60 },
    ],
    selectPolicy: 'Max' as const,
  },
  scaleDown: {
    stabilizationWindowSeconds: 300,
    policies: [{ type: 'Pods' as const, value: 1, periodSeconds: 120 }],
    selectPolicy: 'Max' as const,
  },
};
const defaultTargetSeconds = 120;
/** What KEDA does by default. */
const keda = { pollSeconds: 30, cooldownSeconds: 300 };
/** A longer simulation is somebody's slip of the finger. */
const mostSeconds = 7 * 86_400;

/** `glyphmill simulate-scaling`: what a load costs, and how long pages wait, before any machine is rented. */
export function scalingCommand(): Command {
  return new Command('simulate-scaling')
    .description('Play a load curve against workers that Kubernetes scales by their seconds of queue')
    .argument(
      '[load.json]',
      '[{"atSeconds","pagesPerSecond"} or {"atSeconds","documents","pagesPerDocument"}, …]',
    )
    .option('--json', 'print JSON')
    .option('--base <pages/s>', 'load without a file: what arrives all the time', notNegative, 2)
    .option('--burst <pages/s>', 'what arrives during the burst', notNegative, 20)
    .option('--burst-at <s>', 'when the burst begins', notNegative, 600)
    .option('--burst-seconds <s>', 'how long it lasts', notNegative, 600)
    .option('--seconds <s>', 'how long to play (default: the load and 80 minutes)', positive)
    .option('--rate <pages/s>', 'what one worker reads: ocr_worker_pages_per_second', positive, 1)
    .option(
      '--target <s>',
      'seconds of queue per replica: averageValue (default: the HPA’s, or 120)',
      positive,
    )
    .option(
      '--hpa <hpa.json>',
      'an HPA as `kubectl get hpa <name> -o json` gives it: its bounds, behavior and target',
    )
    .option('--min <replicas>', 'least replicas, without --hpa', notNegative, 1)
    .option('--max <replicas>', 'most replicas, without --hpa', positive, 40)
    .option('--pod-start <s>', 'from the decision for a replica until it reads', notNegative, 60)
    .option('--metric-age <s>', 'how old the metric is that is decided by', notNegative, 15)
    .option('--sync <s>', 'the HPA controller’s sync period', positive, 15)
    .option('--tolerance <ratio>', 'the HPA controller’s tolerance', notNegative, 0.1)
    .option('--objective <s>', 'the longest that a page should wait', positive, 600)
    .option('--pod-price <price>', 'of one pod for an hour', notNegative)
    .option('--keda', 'scale to zero as KEDA does, and from there with its polling interval of 30 s')
    .action(run);
}

function run(file: string | undefined, options: ScalingOptions): void {
  const load = file === undefined ? burstLoad(options) : readLoad(file);
  const seconds = options.seconds ?? Math.max(...load.map(({ atSeconds }) => atSeconds)) + 4800;
  if (seconds > mostSeconds)
    throw new CliError('usage', `expected at most ${mostSeconds} s to play, got ${seconds}`);
  const { hpa, targetSeconds } = rulesOf(options);
  const scenario = {
    load,
    seconds,
    targetSeconds,
    pagesPerSecond: options.rate,
    podStartSeconds: options.podStart,
    metricAgeSeconds: options.metricAge,
    syncSeconds: options.sync,
    initialReplicas: options.keda ? 0 : Math.max(1, hpa.minReplicas),
    hpa,
    scaleToZero: options.keda ? keda : null,
  };
  const result = simulateScaling(scenario);
  const podHours = hours(result.replicaSeconds);
  const cost = { podHours, price: options.podPrice === undefined ? null : podHours * options.podPrice };
  const isMet = result.longestWaitSeconds <= options.objective;
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ scenario, cost, objective: { seconds: options.objective, isMet }, ...result })}\n`
      : renderScaling(result, { cost, objectiveSeconds: options.objective }),
  );
}

function burstLoad({ base, burst, burstAt, burstSeconds }: ScalingOptions): LoadStep[] {
  return [
    { atSeconds: 0, pagesPerSecond: base },
    { atSeconds: burstAt, pagesPerSecond: burst },
    { atSeconds: burstAt + burstSeconds, pagesPerSecond: base },
  ];
}

function rulesOf(options: ScalingOptions): { hpa: HpaOptions; targetSeconds: number } {
  const { tolerance, min, max, target } = options;
  if (options.hpa !== undefined) {
    const given = readHpa(options.hpa);
    return {
      hpa: { ...given.hpa, tolerance },
      targetSeconds: target ?? given.targetSeconds ?? defaultTargetSeconds,
    };
  }
  if (min > max) throw new CliError('usage', `expected --min of at most --max, got ${min} and ${max}`);
  return {
    hpa: { minReplicas: min, maxReplicas: max, tolerance, ...ourRules },
    targetSeconds: target ?? defaultTargetSeconds,
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('expected a number above 0');
}

function notNegative(text: string): number {
  const value = Number(text);
  if (text !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError('expected a number of at least 0');
}
