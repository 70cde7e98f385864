// A second, deliberately naive model of Triton's dynamic batching, written straight from its decision rule
// with plain lists and full rescans. It shares nothing with the batcher but the trace format.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Outcome, simulate, type TraceDrop } from '@glyphmill/core/simulate';
import type { Trace, TraceArrival } from '@glyphmill/core/simulate-trace';
import { randomTrace } from './batcher-random.ts';

const TRACES = 20_000;

interface Request extends TraceArrival {
  level: number;
  deadline: number;
  canceled: boolean;
}

interface Payload {
  requests: Request[];
  shape: unknown;
  oldest: number;
  saturated: boolean;
  sealed: boolean;
  started: boolean;
}

test(`agrees with a naive model of Triton's rule on ${TRACES} random traces`, () => {
  for (let seed = 0; seed < TRACES; seed += 1) {
    const trace = randomTrace(seed);
    const expected = new NaiveTriton(trace).play();
    const { batches, dropped } = simulate(trace);
    assert.deepEqual({ batches, dropped }, expected, `seed ${seed}`);
  }
});

class NaiveTriton {
  batches: Outcome['batches'] = [];
  dropped: Outcome['dropped'] = [];
  trace: Trace;
  max: number;
  pref: number[];
  maxPref: number;
  delay: number;
  prefetch: boolean;
  now = 0;
  afterDeadlines = false;
  idle: number;
  running: number[] = [];
  queue: Payload[] = [];
  payload = newPayload();
  fresh = new Map<number, Request[]>();
  delayed = new Map<number, Request[]>();
  timer = Infinity;

  constructor(trace: Trace) {
    const { options } = trace;
    const policy = options.defaultQueuePolicy;
    this.trace = trace;
    this.max = Math.max(1, options.maxBatchSize);
    this.pref =
      options.preferredBatchSizes.length > 0 ? [...options.preferredBatchSizes] : [options.maxBatchSize];
    this.maxPref = Math.max(...this.pref);
    this.delay = options.maxQueueDelayUs;
    this.idle = options.instances;
    this.prefetch =
      options.priorityLevels === 0 &&
      policy.defaultTimeoutUs === 0 &&
      !policy.allowTimeoutOverride &&
      policy.maxQueueSize === 0;
    const levels = options.priorityLevels === 0 ? [0] : range(options.priorityLevels).map((n) => n + 1);
    for (const level of levels) {
      this.fresh.set(level, []);
      this.delayed.set(level, []);
    }
  }

  play(): Omit<Outcome, 'name'> {
    const arrivals = [...this.trace.arrivals].sort((a, b) => a.t - b.t);
    const cancels = [...this.trace.cancels].sort((a, b) => a.t - b.t);
    for (;;) {
      const next = Math.min(
        ...this.running,
        arrivals[0]?.t ?? Infinity,
        cancels[0]?.t ?? Infinity,
        this.timer,
      );
      if (next === Infinity) return { batches: this.batches, dropped: this.dropped };
      if (next > this.now) this.afterDeadlines = false;
      this.now = next;
      const done = this.running.filter((t) => t === next).length;
      const came = arrivals.filter(({ t }) => t === next);
      const left = cancels.filter(({ t }) => t === next);
      if (done + came.length + left.length === 0) this.afterDeadlines = true;
      this.running = this.running.filter((t) => t !== next);
      this.idle += done;
      this.pickup();
      for (const arrival of came) this.enqueue(arrival);
      for (const { id } of left) for (const r of this.waiting()) if (r.id === id) r.canceled = true;
      arrivals.splice(0, came.length);
      cancels.splice(0, left.length);
      this.batcher();
    }
  }

  waiting(): Request[] {
    return [...this.fresh.keys()].flatMap((level) => [...this.freshAt(level), ...this.delayedAt(level)]);
  }

  freshAt(level: number): Request[] {
    return this.fresh.get(level) ?? [];
  }

  delayedAt(level: number): Request[] {
    return this.delayed.get(level) ?? [];
  }

  policy(level: number) {
    const { priorityQueuePolicies, defaultQueuePolicy } = this.trace.options;
    return priorityQueuePolicies.get(level) ?? defaultQueuePolicy;
  }

  enqueue(arrival: TraceArrival): void {
    const { priorityLevels, defaultPriorityLevel } = this.trace.options;
    const inRange = arrival.priority >= 1 && arrival.priority <= priorityLevels;
    const level = priorityLevels === 0 ? 0 : inRange ? arrival.priority : defaultPriorityLevel;
    const policy = this.policy(level);
    const held = this.freshAt(level).length + this.delayedAt(level).length;
    if (policy.maxQueueSize > 0 && held >= policy.maxQueueSize) {
      this.drop(arrival, 'QUEUE_FULL');
      return;
    }
    let timeout = policy.defaultTimeoutUs;
    if (policy.allowTimeoutOverride && arrival.timeoutUs > 0 && arrival.timeoutUs < timeout) {
      timeout = arrival.timeoutUs;
    }
    const deadline = timeout > 0 ? this.now + timeout : Infinity;
    this.freshAt(level).push({ ...arrival, level, deadline, canceled: false });
  }

  drop({ id }: TraceArrival, why: TraceDrop): void {
    this.dropped.push({ id, t: this.now, why });
  }

  remove(request: Request): void {
    for (const queue of [this.freshAt(request.level), this.delayedAt(request.level)]) {
      const at = queue.indexOf(request);
      if (at >= 0) queue.splice(at, 1);
    }
  }

  expired(request: Request): boolean {
    return this.afterDeadlines ? request.deadline <= this.now : request.deadline < this.now;
  }

  batcher(): void {
    this.timer = Infinity;
    for (;;) {
      if (this.payload.saturated || this.payload.started) this.payload = newPayload();
      if (this.waiting().length === 0) return;
      const slot = this.prefetch
        ? this.queue.length < 2 * this.trace.options.instances
        : this.idle - this.queue.length > 0;
      if (!slot) {
        for (const r of this.waiting()) {
          if (this.policy(r.level).timeoutAction !== 'reject' || !this.expired(r)) continue;
          this.remove(r);
          this.drop(r, 'TIMEOUT');
        }
        const rejectable = this.waiting().filter((r) => this.policy(r.level).timeoutAction === 'reject');
        this.timer = Math.min(Infinity, ...rejectable.map((r) => r.deadline));
        return;
      }
      const decision = this.decide();
      if (typeof decision === 'number') {
        this.timer = decision;
        return;
      }
      if (decision.length === 0 && this.waiting().length > 0 && !this.payload.saturated) return;
      for (const r of decision) {
        this.remove(r);
        this.payload.requests.push(r);
        this.payload.oldest = Math.min(this.payload.oldest, r.t);
      }
      if (decision.length > 0 && !this.queue.includes(this.payload)) this.queue.push(this.payload);
      this.pickup();
    }
  }

  decide(): Request[] | number {
    const p = this.payload;
    const open = size(p.requests);
    const scan: Request[] = [];
    let pend = 0;
    let best = 0;
    let bestN = 0;
    let sendNow = false;
    walk: for (const level of this.fresh.keys()) {
      for (const queue of ['fresh', 'delayed']) {
        for (const r of [...(queue === 'fresh' ? this.freshAt(level) : this.delayedAt(level))]) {
          if (queue === 'fresh' && r.canceled) {
            this.remove(r);
            this.drop(r, 'CANCELLED');
            continue;
          }
          if (queue === 'fresh' && this.expired(r)) {
            this.remove(r);
            if (this.policy(level).timeoutAction === 'reject') this.drop(r, 'TIMEOUT');
            else this.delayedAt(level).push({ ...r, deadline: Infinity });
            continue;
          }
          if (open + scan.length === 0) p.shape = r.shape;
          else {
            if (open + pend + r.batch > this.maxPref && best === 0) {
              best = pend;
              bestN = scan.length;
              p.saturated = true;
            }
            if (open + pend + r.batch > this.max) {
              sendNow = true;
              break walk;
            }
            if (this.trace.enforceEqualShape && r.shape !== p.shape) {
              p.sealed = true;
              sendNow = true;
              break walk;
            }
          }
          pend += r.batch;
          scan.push(r);
          if (this.pref.includes(open + pend)) {
            best = pend;
            bestN = scan.length;
          }
        }
      }
    }
    const oldest = Math.min(Infinity, ...scan.map((r) => r.t));
    const exceeded = this.delay > 0 && scan.length > 0 && this.now - oldest >= this.delay;
    if (best > 0 && !exceeded) {
      if (this.delay === 0) p.saturated = true;
      return scan.slice(0, bestN);
    }
    if (scan.length === 0) return [];
    if (sendNow || open + pend >= this.maxPref) {
      p.saturated = true;
      return scan;
    }
    if (exceeded || this.delay === 0) return scan;
    if (!p.saturated && open > 0 && !this.pref.includes(open)) return scan;
    return Math.min(oldest + this.delay, ...scan.map((r) => r.deadline));
  }

  pickup(): void {
    while (this.idle > 0) {
      const p = this.queue.shift();
      if (p === undefined) return;
      p.started = true;
      if (this.delay > 0 && this.max > 1 && !p.sealed) {
        for (let f = this.queue[0]; f && !f.sealed && this.now - f.oldest > this.delay; f = this.queue[0]) {
          f.started = true;
          const differ = this.trace.enforceEqualShape && f.shape !== p.shape;
          if (size(p.requests) + size(f.requests) > this.max || differ) break;
          p.requests.push(...f.requests);
          this.queue.shift();
        }
      }
      this.idle -= 1;
      const total = size(p.requests);
      this.running.push(this.now + this.trace.svc[0] + this.trace.svc[1] * total);
      this.batches.push({ t: this.now, size: total, ids: p.requests.map(({ id }) => id) });
    }
  }
}

function newPayload(): Payload {
  return {
    requests: [],
    shape: undefined,
    oldest: Infinity,
    saturated: false,
    sealed: false,
    started: false,
  };
}

function size(requests: Request[]): number {
  return requests.reduce((sum, { batch }) => sum + batch, 0);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
