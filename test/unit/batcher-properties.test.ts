import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Batch, Batcher, type BatcherOptions, type Effect, type Item } from '@glyphmill/core/batcher';
import type { Trace } from '@glyphmill/core/simulate-trace';
import { type Random, randomBelow, randomTrace } from './batcher-random.ts';

const TRACES = 20_000;

for (const bucketing of [false, true]) {
  const mode = bucketing ? 'with buckets' : "in Triton's order";

  test(`keeps every promise on ${TRACES} random traces ${mode}`, () => {
    for (let seed = 0; seed < TRACES; seed += 1) {
      const trace = randomTrace(seed);
      new Shadow({ ...trace, options: { ...trace.options, bucketing } }, seed).play();
    }
  });
}

interface Held {
  item: Item<number>;
  atUs: number;
  order: number;
  level: number;
  deadlineUs: number;
  canceled: boolean;
}

interface Timed {
  atUs: number;
  act: () => Effect<number>[];
}

/** Plays a trace with dying instances and a drain, and keeps its own books of what must hold. */
class Shadow {
  readonly trace: Trace;
  readonly options: BatcherOptions;
  readonly batcher: Batcher<number>;
  readonly random: Random;
  readonly seed: number;
  readonly waiting = new Map<string, Held>();
  readonly running = new Map<number, Batch<number>>();
  readonly ended = new Set<string>();
  readonly gone = new Set<number>();
  events: Timed[] = [];
  nowUs = 0;
  deadlinesActed = false;
  requeued = false;
  draining = false;
  order = 0;

  constructor(trace: Trace, seed: number) {
    this.trace = trace;
    this.options = trace.options;
    this.batcher = new Batcher<number>(trace.options);
    this.random = randomBelow(seed + 1_000_003);
    this.seed = seed;
    const times = [...new Set(trace.arrivals.map(({ t }) => t))];
    this.events = times.map((atUs) => ({ atUs, act: () => this.arrive(atUs) }));
    for (const { id, t } of trace.cancels) this.events.push({ atUs: t, act: () => this.cancel(String(id)) });
    if (this.random(3) === 0) {
      this.events.push({ atUs: this.random(Math.max(...times) + 1), act: () => this.drain() });
    }
  }

  play(): void {
    for (;;) {
      this.events.sort((a, b) => a.atUs - b.atUs);
      const wakeAtUs = this.batcher.wakeAtUs ?? Infinity;
      const event = this.events[0];
      const nextUs = Math.min(event?.atUs ?? Infinity, wakeAtUs);
      if (nextUs === Infinity) break;
      assert(nextUs >= this.nowUs, this.say('time goes on'));
      if (nextUs > this.nowUs) this.deadlinesActed = false;
      this.nowUs = nextUs;
      if (event !== undefined && event.atUs === nextUs) {
        this.events.shift();
        this.apply(event.act());
      } else {
        this.deadlinesActed = true;
        this.apply(this.batcher.wake(nextUs));
        assert((this.batcher.wakeAtUs ?? Infinity) > nextUs, this.say('wake() settles its instant'));
      }
      this.checkStanding();
    }
    assert.equal(this.waiting.size, 0, this.say('nothing is left waiting'));
    assert.equal(this.batcher.waiting, 0);
    assert.equal(this.ended.size, this.trace.arrivals.length, this.say('every item ran or was dropped'));
  }

  arrive(atUs: number): Effect<number>[] {
    const items: Item<number>[] = [];
    for (const { id, t, batch, priority, timeoutUs, shape } of this.trace.arrivals) {
      if (t !== atUs) continue;
      const item = { id: String(id), value: Number(id), key: `${shape}`, weight: batch, priority, timeoutUs };
      items.push(item);
      const level = this.levelOf(priority);
      const policy = this.policyOf(level);
      const shorter = policy.allowTimeoutOverride && timeoutUs > 0 && timeoutUs < policy.defaultTimeoutUs;
      const timeout = shorter ? timeoutUs : policy.defaultTimeoutUs;
      const deadlineUs = timeout > 0 ? atUs + timeout : Infinity;
      this.waiting.set(item.id, { item, atUs, order: this.order++, level, deadlineUs, canceled: false });
    }
    return this.batcher.enqueue(items, atUs);
  }

  cancel(id: string): Effect<number>[] {
    const held = this.waiting.get(id);
    const effects = this.batcher.cancel([id], this.nowUs);
    const dropped = effects.some((effect) => effect.type === 'drop' && effect.item.id === id);
    if (held !== undefined) held.canceled = true;
    if (this.options.bucketing) assert.equal(dropped, held !== undefined, this.say('a cancel acts at once'));
    return effects;
  }

  drain(): Effect<number>[] {
    this.draining = true;
    return this.batcher.drain(this.nowUs);
  }

  apply(effects: Effect<number>[]): void {
    for (const effect of effects) {
      if (effect.type === 'start') this.started(effect.batch);
      else this.dropped(effect.item, effect.why);
    }
  }

  dropped(item: Item<number>, why: string): void {
    const held = this.waiting.get(item.id);
    assert(held, this.say(`${item.id} is dropped while it waits`));
    if (why === 'timeout') assert.equal(held.deadlineUs, this.nowUs, this.say(`${item.id} expires on time`));
    if (why === 'canceled') assert(held.canceled, this.say(`${item.id} was canceled`));
    if (why === 'queue-full') assert.equal(held.atUs, this.nowUs, this.say('a full queue refuses at once'));
    this.waiting.delete(item.id);
    this.end(item.id);
  }

  started(batch: Batch<number>): void {
    const { items, instance, size } = batch;
    assert(items.length > 0);
    assert(!this.running.has(instance) && !this.gone.has(instance), this.say(`#${instance} is idle`));
    assert.equal(
      size,
      items.reduce((sum, { weight }) => sum + weight, 0),
    );
    assert(size <= Math.max(1, this.options.maxBatchSize), this.say('no batch is over the maximum'));
    assert.equal(batch.startedUs, this.nowUs);
    assert.equal(batch.oldestUs, Math.min(...batch.enqueuedUs));
    const taken: Held[] = [];
    for (const [n, { id, key }] of items.entries()) {
      const held = this.waiting.get(id);
      assert(held, this.say(`${id} runs while it waits`));
      assert.equal(key, batch.key, this.say('a batch has one key'));
      assert.equal(batch.enqueuedUs[n], held.atUs, this.say('an item keeps its age'));
      taken.push(held);
      this.waiting.delete(id);
    }
    this.checkOrder(taken);
    if (batch.trigger === 'drain') assert(this.draining);
    this.running.set(instance, batch);
    this.schedule(batch);
  }

  /** One batch in six dies with its instance, which comes back later. */
  schedule(batch: Batch<number>): void {
    const [fixed, each] = this.trace.svc;
    const serviceUs = fixed + each * batch.size;
    const { instance } = batch;
    if (this.random(6) > 0) {
      this.events.push({ atUs: this.nowUs + serviceUs, act: () => this.completed(batch) });
      return;
    }
    const diesUs = this.nowUs + Math.floor(serviceUs / 2);
    this.events.push({ atUs: diesUs, act: () => this.died(batch) });
    this.events.push({
      atUs: diesUs + this.random(100),
      act: () => {
        this.gone.delete(instance);
        return this.batcher.setInstance(instance, 'idle', this.nowUs);
      },
    });
  }

  completed({ instance, items }: Batch<number>): Effect<number>[] {
    this.running.delete(instance);
    for (const { id } of items) this.end(id);
    return this.batcher.complete(instance, this.nowUs);
  }

  died({ instance, items, enqueuedUs }: Batch<number>): Effect<number>[] {
    this.running.delete(instance);
    this.gone.add(instance);
    this.requeued = true;
    this.apply(this.batcher.setInstance(instance, 'gone', this.nowUs));
    for (const [n, item] of items.entries()) {
      const level = this.levelOf(item.priority ?? 0);
      const atUs = enqueuedUs[n] ?? 0;
      this.waiting.set(item.id, { item, atUs, order: -1, level, deadlineUs: Infinity, canceled: false });
    }
    return this.batcher.requeue(items, enqueuedUs, this.nowUs);
  }

  end(id: string): void {
    assert(!this.ended.has(id), this.say(`${id} ends once`));
    this.ended.add(id);
  }

  /** Inside a key (Triton: across keys) and level, nothing is overtaken; going behind is a policy's wish. */
  checkOrder(taken: Held[]): void {
    // What Triton's order has formed ahead is not taken apart for what comes back later.
    if (this.requeued && !this.options.bucketing) return;
    for (const left of this.waiting.values()) {
      if (left.canceled || this.policyOf(left.level).timeoutAction === 'delay') continue;
      for (const { item, atUs, order, level } of taken) {
        if (level !== left.level || (this.options.bucketing && item.key !== left.item.key)) continue;
        assert(left.atUs >= atUs, this.say(`${item.id} does not overtake ${left.item.id}`));
        if (!this.requeued) assert(left.order > order, this.say(`${item.id} is before ${left.item.id}`));
      }
    }
  }

  checkStanding(): void {
    const { batcher, options } = this;
    const idle = options.instances - this.running.size - this.gone.size;
    assert.equal(batcher.idleInstances, idle);
    assert.equal(batcher.waiting, this.waiting.size, this.say('waiting is counted'));
    const held = [...this.waiting.values()];
    const oldestUs = Math.min(Infinity, ...held.map(({ atUs }) => atUs));
    assert.equal(batcher.oldestWaitingUs ?? Infinity, oldestUs);
    assert.equal(
      batcher.running,
      [...this.running.values()].reduce((sum, { items }) => sum + items.length, 0),
    );
    for (const { item, level, deadlineUs } of held) {
      if (this.policyOf(level).timeoutAction === 'delay' || deadlineUs === Infinity) continue;
      const passed = this.deadlinesActed ? deadlineUs <= this.nowUs : deadlineUs < this.nowUs;
      assert(!passed, this.say(`${item.id} has not outlived its deadline`));
      assert((batcher.wakeAtUs ?? Infinity) <= deadlineUs, this.say('wakeAtUs knows the next deadline'));
    }
    if (idle === 0 || held.length === 0) return;
    assert(!this.draining, this.say('while draining nothing waits for an idle instance'));
    const windowEndUs = oldestUs + options.maxQueueDelayUs;
    assert(windowEndUs > this.nowUs, this.say('nothing waits past its window while an instance is idle'));
    assert((batcher.wakeAtUs ?? Infinity) <= windowEndUs, this.say('wakeAtUs knows the next window'));
  }

  levelOf(priority: number): number {
    const { priorityLevels, defaultPriorityLevel } = this.options;
    if (priorityLevels === 0) return 0;
    return priority >= 1 && priority <= priorityLevels ? priority : defaultPriorityLevel;
  }

  policyOf(level: number) {
    return this.options.priorityQueuePolicies.get(level) ?? this.options.defaultQueuePolicy;
  }

  say(what: string): string {
    return `seed ${this.seed}, ${this.nowUs} µs: ${what}`;
  }
}
