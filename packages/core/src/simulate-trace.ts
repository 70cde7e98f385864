// The file format of `glyphmill simulate`: arrivals and cancels at given times, and what serves them.

import { type BatcherOptions, OPEN_QUEUE_POLICY, type QueuePolicy } from './batch-options.ts';

export type TraceId = number | string;

/** One request of a trace; `batch` is its weight, `shape` its batch key where shapes are compared. */
export interface TraceArrival {
  id: TraceId;
  t: number;
  batch: number;
  priority: number;
  timeoutUs: number;
  shape: TraceId;
}

/** Times in µs. A batch of size b occupies its instance for svc[0] + svc[1] * b. */
export interface Trace {
  name: string;
  note: string;
  options: BatcherOptions;
  svc: readonly [number, number];
  enforceEqualShape: boolean;
  arrivals: readonly TraceArrival[];
  cancels: readonly { id: TraceId; t: number }[];
}

/** The file is not a trace: says where and what was expected. */
export class TraceError extends Error {
  constructor(where: string, expected: string, got: unknown) {
    super(`${where}: expected ${expected}, got ${JSON.stringify(got) ?? 'nothing'}`);
    this.name = 'TraceError';
  }
}

/**
 * Reads one trace, a list of traces or an object with a list `vectors`. Throws TraceError. The options are
 * Triton's canonical ones (bucketing off); their ranges are checked by the batcher.
 */
export function parseTraces(json: unknown): Trace[] {
  if (isRecord(json) && json.vectors !== undefined) return list(json.vectors, 'vectors').map(parseTrace);
  if (Array.isArray(json)) return json.map(parseTrace);
  return [parseTrace(json, 0)];
}

function parseTrace(json: unknown, index: number): Trace {
  const at = `trace ${index}`;
  const trace = record(json, at);
  const cfg = record(trace.cfg, `${at}.cfg`);
  const svc = list(cfg.svc, `${at}.cfg.svc`);
  return {
    name: typeof trace.name === 'string' ? trace.name : at,
    note: typeof trace.note === 'string' ? trace.note : '',
    options: parseOptions(cfg, `${at}.cfg`),
    svc: [whole(svc[0], `${at}.cfg.svc[0]`), whole(svc[1], `${at}.cfg.svc[1]`, 0)],
    enforceEqualShape: flag(cfg.enforceEqualShape, `${at}.cfg.enforceEqualShape`),
    arrivals: list(trace.arrivals, `${at}.arrivals`).map((each, n) =>
      parseArrival(each, `${at}.arrivals[${n}]`),
    ),
    cancels: list(trace.cancels ?? [], `${at}.cancels`).map((each, n) => {
      const cancel = record(each, `${at}.cancels[${n}]`);
      return {
        id: traceId(cancel.id, `${at}.cancels[${n}].id`),
        t: whole(cancel.t, `${at}.cancels[${n}].t`),
      };
    }),
  };
}

function parseOptions(cfg: Record<string, unknown>, at: string): BatcherOptions {
  const policies = record(cfg.priorityPolicy ?? {}, `${at}.priorityPolicy`);
  return {
    maxBatchSize: whole(cfg.maxBatchSize, `${at}.maxBatchSize`),
    preferredBatchSizes: list(cfg.preferred ?? [], `${at}.preferred`).map((size, n) =>
      whole(size, `${at}.preferred[${n}]`),
    ),
    maxQueueDelayUs: whole(cfg.maxQueueDelayUs, `${at}.maxQueueDelayUs`, 0),
    priorityLevels: whole(cfg.priorityLevels, `${at}.priorityLevels`, 0),
    defaultPriorityLevel: whole(cfg.defaultPriority, `${at}.defaultPriority`, 0),
    defaultQueuePolicy: parsePolicy(cfg.defaultPolicy ?? {}, `${at}.defaultPolicy`),
    priorityQueuePolicies: new Map(
      Object.entries(policies).map(([level, policy]) => [
        Number(level),
        parsePolicy(policy, `${at}.priorityPolicy.${level}`),
      ]),
    ),
    instances: whole(cfg.instances, `${at}.instances`, 1),
    bucketing: false,
  };
}

function parsePolicy(json: unknown, at: string): QueuePolicy {
  const policy = record(json, at);
  const action = policy.action ?? 'REJECT';
  if (action !== 'REJECT' && action !== 'DELAY')
    throw new TraceError(`${at}.action`, 'REJECT or DELAY', action);
  return {
    timeoutAction: action === 'DELAY' ? 'delay' : 'reject',
    defaultTimeoutUs: whole(policy.timeoutUs, `${at}.timeoutUs`, OPEN_QUEUE_POLICY.defaultTimeoutUs),
    allowTimeoutOverride: flag(policy.allowOverride, `${at}.allowOverride`),
    maxQueueSize: whole(policy.maxQueueSize, `${at}.maxQueueSize`, OPEN_QUEUE_POLICY.maxQueueSize),
  };
}

function parseArrival(json: unknown, at: string): TraceArrival {
  const arrival = record(json, at);
  return {
    id: traceId(arrival.id, `${at}.id`),
    t: whole(arrival.t, `${at}.t`),
    // Triton counts a request without a batch dimension as one.
    batch: Math.max(1, whole(arrival.batch, `${at}.batch`, 1)),
    priority: whole(arrival.priority, `${at}.priority`, 0),
    timeoutUs: whole(arrival.timeoutUs, `${at}.timeoutUs`, 0),
    shape: traceId(arrival.shape ?? 0, `${at}.shape`),
  };
}

function isRecord(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function record(json: unknown, at: string): Record<string, unknown> {
  if (isRecord(json)) return json;
  throw new TraceError(at, 'an object', json);
}

function list(json: unknown, at: string): unknown[] {
  if (Array.isArray(json)) return json;
  throw new TraceError(at, 'a list', json);
}

function whole(json: unknown, at: string, otherwise?: number): number {
  const value = json ?? otherwise;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new TraceError(at, 'a whole number of at least 0', json);
}

function flag(json: unknown, at: string): boolean {
  if (json === undefined || typeof json === 'boolean') return json ?? false;
  throw new TraceError(at, 'true or false', json);
}

function traceId(json: unknown, at: string): TraceId {
  if (typeof json === 'number' || typeof json === 'string') return json;
  throw new TraceError(at, 'a number or a string', json);
}
