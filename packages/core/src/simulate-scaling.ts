import { createHpa, type HpaOptions } from './hpa.ts';

/** From `atSeconds` on so many pages arrive a second; or so many at once, however many documents they are of. */
export type LoadStep = { atSeconds: number } & ({ pagesPerSecond: number } | { pages: number });

export interface ScalingScenario {
  load: readonly LoadStep[];
  seconds: number;
  /** What one worker reads. */
  pagesPerSecond: number;
  /** SCALING_TARGET_SECONDS or the HPA's averageValue: seconds of queue that one replica is to have. */
  targetSeconds: number;
  /** From the decision to add a replica until it reads: scheduling, image, model. */
  podStartSeconds: number;
  /** How old the metric is that the autoscaler decides by. */
  metricAgeSeconds: number;
  syncSeconds: number;
  initialReplicas: number;
  hpa: HpaOptions;
  /** With KEDA the last replica goes too, after so long without work, and one comes when there is some. */
  scaleToZero: { pollSeconds: number; cooldownSeconds: number } | null;
}

/** At the end of one sync period. */
export interface ScalingSample {
  atSeconds: number;
  arrivingPerSecond: number;
  backlogPages: number;
  oldestWaitSeconds: number;
  replicas: number;
  readyReplicas: number;
  /** Replicas paid for since the beginning. */
  replicaSeconds: number;
}

export interface ScalingRun {
  samples: ScalingSample[];
  peakReplicas: number;
  peakBacklogPages: number;
  /** The longest that any page waited, those still waiting at the end included. */
  longestWaitSeconds: number;
  /** When the last page that had to wait for longer than a sync period was read; null when none had to. */
  drainedAtSeconds: number | null;
  /** Pages that are not read at the end. */
  leftPages: number;
  replicaSeconds: number;
  /** Times that the direction of scaling turned; one rise and one fall are one. */
  reversals: number;
}

const dust = 1e-9;

/** Plays a load against workers that are scaled by their seconds of queue, second by second. */
export function simulateScaling(scenario: ScalingScenario): ScalingRun {
  const { targetSeconds, pagesPerSecond, syncSeconds, metricAgeSeconds, scaleToZero } = scenario;
  const hpa = createHpa(scenario.hpa);
  const queue = createQueue();
  const pods = createPods(scenario.initialReplicas);
  const backlogs: number[] = [];
  const samples: ScalingSample[] = [];
  let longestWaitSeconds = 0;
  let drainedAtSeconds: number | null = null;
  let replicaSeconds = 0;
  let idleSince = 0;

  for (let second = 0; second < scenario.seconds; second += 1) {
    const arriving = arrivals(scenario.load, second);
    queue.add(second, arriving.pages);
    const wait = queue.take(second, pods.ready(second) * pagesPerSecond);
    longestWaitSeconds = Math.max(longestWaitSeconds, wait, queue.oldestWait(second));
    if (wait > syncSeconds) drainedAtSeconds = second + 1;
    replicaSeconds += pods.count();
    backlogs.push(queue.pages());
    if (queue.pages() > 0) idleSince = second;

    if (second % syncSeconds === 0) {
      const seen = backlogs[Math.max(0, backlogs.length - 1 - metricAgeSeconds)] ?? 0;
      if (pods.count() > 0) {
        const metric = { type: 'AverageValue' as const, total: seen / pagesPerSecond, target: targetSeconds };
        pods.scale(
          hpa.sync({ seconds: second, replicas: pods.count(), metric }),
          second + scenario.podStartSeconds,
        );
      }
      samples.push({
        atSeconds: second,
        arrivingPerSecond: arriving.perSecond,
        backlogPages: queue.pages(),
        oldestWaitSeconds: queue.oldestWait(second),
        replicas: pods.count(),
        readyReplicas: pods.ready(second),
        replicaSeconds,
      });
    }
    if (scaleToZero !== null && second % scaleToZero.pollSeconds === 0) {
      if (pods.count() === 0 && queue.pages() > 0) pods.scale(1, second + scenario.podStartSeconds);
      else if (pods.count() === 1 && second - idleSince >= scaleToZero.cooldownSeconds) pods.scale(0, second);
    }
  }
  return {
    samples,
    peakReplicas: Math.max(...samples.map(({ replicas }) => replicas)),
    peakBacklogPages: Math.max(...backlogs),
    longestWaitSeconds,
    drainedAtSeconds,
    leftPages: queue.pages(),
    replicaSeconds,
    reversals: countReversals(samples.map(({ replicas }) => replicas)),
  };
}

/** What arrives in this second. */
function arrivals(load: readonly LoadStep[], second: number): { perSecond: number; pages: number } {
  let perSecond = 0;
  let atOnce = 0;
  for (const step of load) {
    if ('pagesPerSecond' in step) {
      if (step.atSeconds <= second) perSecond = step.pagesPerSecond;
    } else if (Math.floor(step.atSeconds) === second) atOnce += step.pages;
  }
  return { perSecond, pages: perSecond + atOnce };
}

/** Pages in the order of their arrival. */
function createQueue() {
  const waiting: { second: number; pages: number }[] = [];
  let head = 0;
  let total = 0;
  return {
    add(second: number, pages: number) {
      if (pages > 0) waiting.push({ second, pages });
      total += pages;
    },
    /** Reads up to so many pages; returns how long the one that waited longest had waited. */
    take(second: number, most: number): number {
      let room = most;
      let longest = 0;
      for (let first = waiting[head]; first !== undefined && room > dust; first = waiting[head]) {
        const pages = Math.min(first.pages, room);
        longest = Math.max(longest, second - first.second);
        first.pages -= pages;
        room -= pages;
        total -= pages;
        if (first.pages <= dust) head += 1;
      }
      if (head === waiting.length) total = 0;
      return longest;
    },
    pages: () => total,
    oldestWait: (second: number) => second - (waiting[head]?.second ?? second),
  };
}

/** Replicas by the second from which on they read. Those removed are the latest: what is not ready goes first. */
function createPods(initial: number) {
  const readyAt: number[] = Array.from({ length: initial }, () => 0);
  return {
    count: () => readyAt.length,
    ready: (second: number) => readyAt.filter((at) => at <= second).length,
    scale(replicas: number, readyAtSecond: number) {
      while (readyAt.length < replicas) readyAt.push(readyAtSecond);
      readyAt.length = replicas;
    },
  };
}

function countReversals(replicas: readonly number[]): number {
  const steps = replicas.slice(1).map((count, index) => Math.sign(count - (replicas[index] ?? count)));
  const moves = steps.filter((step) => step !== 0);
  return moves.filter((move, index) => index > 0 && move !== moves[index - 1]).length;
}
