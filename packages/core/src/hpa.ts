// The decisions of Kubernetes' HorizontalPodAutoscaler (autoscaling/v2), without a cluster and without a clock:
// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ and KEP-853 for its behaviour rules.

export interface ScalingPolicy {
  type: 'Pods' | 'Percent';
  value: number;
  periodSeconds: number;
}

/** How fast may be scaled in one direction. */
export interface ScalingRules {
  stabilizationWindowSeconds: number;
  policies: readonly ScalingPolicy[];
  /** Of several policies the one that allows the largest change, or the smallest; `Disabled` allows none. */
  selectPolicy: 'Max' | 'Min' | 'Disabled';
}

export interface HpaOptions {
  minReplicas: number;
  maxReplicas: number;
  /** Ratios of the metric to its target this close to 1 change nothing. */
  tolerance: number;
  scaleUp: ScalingRules;
  scaleDown: ScalingRules;
}

/** What the metric is, and what the autoscaler should keep it at. */
export type MetricReading =
  /** Divided among the replicas: what is used for the seconds of queue. */
  | { type: 'AverageValue'; total: number; target: number }
  /** As it is: a mean over the replicas, such as CPU. */
  | { type: 'Value'; value: number; target: number };

export interface Hpa {
  /** Called once each sync period, in the order of time; returns how many replicas there should be. */
  sync(now: { seconds: number; replicas: number; metric: MetricReading }): number;
}

/** What applies to an HPA whose spec has no `behavior`. */
export const defaultRules: Record<'scaleUp' | 'scaleDown', ScalingRules> = {
  scaleUp: {
    stabilizationWindowSeconds: 0,
    policies: [
      { type: 'Percent', value: 100, periodSeconds: 15 },
      { type: 'Pods', value: 4, periodSeconds: 15 },
    ],
    selectPolicy: 'Max',
  },
  scaleDown: {
    stabilizationWindowSeconds: 300,
    policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
    selectPolicy: 'Max',
  },
};

/** A quotient a hair above a whole number is that number: 1.1 × 10 must not ask for a twelfth replica. */
const dust = 1e-9;

/** What the metric alone asks for. */
export function desiredReplicas(
  replicas: number,
  metric: MetricReading,
  { tolerance }: { tolerance: number },
): number {
  const ratio =
    metric.type === 'Value'
      ? metric.value / metric.target
      : metric.total / (metric.target * Math.max(1, replicas));
  if (Math.abs(ratio - 1) <= tolerance + dust) return replicas;
  const exact = metric.type === 'Value' ? replicas * ratio : metric.total / metric.target;
  return Math.max(0, Math.ceil(exact - dust));
}

export function createHpa(options: HpaOptions): Hpa {
  const { minReplicas, maxReplicas, scaleUp, scaleDown } = options;
  let recommendations: { seconds: number; replicas: number }[] = [];
  let changes: { seconds: number; by: number }[] = [];
  const remembered = {
    recommendations: Math.max(scaleUp.stabilizationWindowSeconds, scaleDown.stabilizationWindowSeconds),
    changes: Math.max(
      0,
      ...[...scaleUp.policies, ...scaleDown.policies].map((policy) => policy.periodSeconds),
    ),
  };

  /** The lowest recommendation of the one window bounds what is added, the highest of the other what is removed. */
  function stabilize(seconds: number, replicas: number, wanted: number): number {
    const since = (windowSeconds: number) =>
      recommendations.filter((past) => past.seconds > seconds - windowSeconds).map((past) => past.replicas);
    const up = Math.min(wanted, ...since(scaleUp.stabilizationWindowSeconds));
    const down = Math.max(wanted, ...since(scaleDown.stabilizationWindowSeconds));
    return Math.min(Math.max(replicas, up), down);
  }

  function changedWithin(periodSeconds: number, seconds: number): number {
    return changes
      .filter((change) => change.seconds > seconds - periodSeconds)
      .reduce((sum, { by }) => sum + by, 0);
  }

  /** The furthest that the policies let the replicas go, counted from where each policy's period began. */
  function limitOf(
    rules: ScalingRules,
    direction: 1 | -1,
    now: { seconds: number; replicas: number },
  ): number {
    if (rules.selectPolicy === 'Disabled') return now.replicas;
    const limits = rules.policies.map(({ type, value, periodSeconds }) => {
      const start = now.replicas - changedWithin(periodSeconds, now.seconds);
      if (type === 'Pods') return start + direction * value;
      const exact = start * (1 + (direction * value) / 100);
      return direction === 1 ? Math.ceil(exact - dust) : Math.floor(exact + dust);
    });
    const takesHighest = (rules.selectPolicy === 'Max') === (direction === 1);
    return takesHighest ? Math.max(...limits) : Math.min(...limits);
  }

  function limitRate(seconds: number, replicas: number, wanted: number): number {
    const now = { seconds, replicas };
    if (wanted > replicas) {
      return Math.min(wanted, maxReplicas, Math.max(replicas, limitOf(scaleUp, 1, now)));
    }
    return Math.max(wanted, minReplicas, Math.min(replicas, limitOf(scaleDown, -1, now)));
  }

  return {
    sync({ seconds, replicas, metric }) {
      recommendations = recommendations.filter((past) => past.seconds > seconds - remembered.recommendations);
      changes = changes.filter((change) => change.seconds > seconds - remembered.changes);
      const wanted = desiredReplicas(replicas, metric, options);
      const stable = stabilize(seconds, replicas, wanted);
      recommendations.push({ seconds, replicas: wanted });
      const allowed = stable === replicas ? replicas : limitRate(seconds, replicas, stable);
      const next = Math.min(maxReplicas, Math.max(minReplicas, allowed));
      if (next !== replicas) changes.push({ seconds, by: next - replicas });
      return next;
    },
  };
}
