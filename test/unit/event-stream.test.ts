import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { QueueUnavailable } from '@glyphmill/queue/errors';
import fc from 'fast-check';
import { formatEvent, type Snapshot, stateEvents } from 'glyphmill-api/event-stream';
import { createEventParser, type ParsedEvent } from '../fixtures/event-parser.ts';

const timing = { heartbeatMs: 600_000, spacingMs: 0, lookAgainMs: 1 };
const never = new AbortController().signal;

/** A thing whose every change is told at once, as Redis does. */
function createThing(first: Partial<Snapshot> = {}) {
  let state: Snapshot | undefined = { revision: 0, status: 'queued', data: {}, isLast: false, ...first };
  const followers = new Set<() => void>();
  let reads = 0;
  let failure: Error | undefined;
  return {
    change(changes: Partial<Snapshot> | undefined, { isTold = true } = {}) {
      state = changes && state && { ...state, revision: state.revision + 1, ...changes };
      if (isTold) for (const tell of followers) tell();
    },
    fail(error: Error | undefined) {
      failure = error;
    },
    get reads() {
      return reads;
    },
    get followers() {
      return followers.size;
    },
    watched: {
      type: 'job',
      async read() {
        reads += 1;
        if (failure !== undefined) throw failure;
        return state;
      },
      follow(onChange: () => void) {
        followers.add(onChange);
        return () => void followers.delete(onChange);
      },
    },
  };
}
type Thing = ReturnType<typeof createThing>;

/** Reads on one event at a time. */
function reader(events: AsyncGenerator<string>) {
  const parser = createEventParser();
  const ready: ParsedEvent[] = [];
  return {
    parser,
    async next(): Promise<ParsedEvent | undefined> {
      while (ready.length === 0) {
        const { done, value } = await events.next();
        if (done) return undefined;
        ready.push(...parser.push(value));
      }
      return ready.shift();
    },
  };
}
const open = (thing: Thing, options: Partial<Parameters<typeof stateEvents>[1]> = {}) =>
  reader(stateEvents(thing.watched, { signal: never, timing, ...options }));
const brief = (event: ParsedEvent | undefined) => event && `${event.id} ${event.name}`;

test('any events come out of the stream as they went in, however it is cut into pieces', () => {
  const text = fc.string({
    unit: fc.constantFrom('\n', '\r', '\r\n', '\u2028', ':', ' ', '\0', 'a', 'ü', '😀'),
  });
  const anyEvent = fc.record({
    id: fc.nat(),
    name: fc.constantFrom('job.queued', 'job.progress', 'batch.completed'),
    data: fc.record({ text, more: fc.jsonValue() }),
  });
  fc.assert(
    fc.property(
      fc.array(anyEvent),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (events, cuts) => {
        const parser = createEventParser();
        const parsed: ParsedEvent[] = [];
        let whole = events.map(formatEvent).join(':\n\n');
        for (let index = 0; whole !== ''; index += 1) {
          const length = cuts[index % cuts.length] ?? 1;
          parsed.push(...parser.push(whole.slice(0, length)));
          whole = whole.slice(length);
        }
        assert.deepEqual(
          parsed.map(({ id, name, data }) => ({ id: Number(id), name, data: JSON.parse(data) })),
          events.map(({ data, ...event }) => ({ ...event, data: JSON.parse(JSON.stringify(data)) })),
        );
      },
    ),
  );
});

test('a reader sees each change, named after the state that it came to', async () => {
  const thing = createThing();
  const stream = open(thing);
  assert.equal(brief(await stream.next()), '0 job.queued');
  assert.equal(stream.parser.retryMs, 3000);
  for (const [status, seen] of [
    ['running', '1 job.running'],
    ['running', '2 job.progress'],
    ['canceling', '3 job.canceling'],
  ] as const) {
    const next = stream.next();
    thing.change({ status });
    assert.equal(brief(await next), seen);
  }
  thing.change({ status: 'canceled', isLast: true });
  assert.equal(brief(await stream.next()), '4 job.canceled');
  assert.equal(await stream.next(), undefined);
  assert.equal(thing.followers, 0);
});

test('a reader that comes back is told at once what it has not seen, and nothing that it has', async () => {
  const thing = createThing({ revision: 7, status: 'running' });
  for (const lastRevision of [undefined, 3, 9]) {
    assert.equal(brief(await open(thing, { lastRevision }).next()), '7 job.running');
  }
  const stream = open(thing, { lastRevision: 7 });
  const next = stream.next();
  thing.change({});
  assert.equal(brief(await next), '8 job.running');
  const ended = createThing({ revision: 7, isLast: true });
  assert.equal(await open(ended, { lastRevision: 7 }).next(), undefined);
});

test('whatever happens between two reads, a reader gets the newest state, once, and the last one', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.nat(4), { maxLength: 20 }), async (bursts) => {
      const thing = createThing();
      const stream = open(thing);
      let newest = 0;
      assert.equal(brief(await stream.next()), '0 job.queued');
      for (const burst of bursts) {
        for (let change = 0; change < burst; change += 1) thing.change({ status: 'running' });
        newest += burst;
        if (burst === 0) continue;
        assert.equal((await stream.next())?.id, String(newest));
      }
      thing.change({ status: 'running' });
      thing.change({ status: 'succeeded', isLast: true });
      assert.equal(brief(await stream.next()), `${newest + 2} job.succeeded`);
      assert.equal(await stream.next(), undefined);
    }),
  ));

test('for a reader that does not read nothing is looked up and nothing kept', async () => {
  const thing = createThing();
  const text = 'x'.repeat(10_000);
  const taken: string[] = [];
  let take = () => {};
  const slow = new Writable({
    highWaterMark: 1,
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      taken.push(chunk);
      take = done;
    },
  });
  Readable.from(stateEvents(thing.watched, { signal: never, timing }), { highWaterMark: 1 }).pipe(slow);
  for (let change = 1; change <= 5000; change += 1) {
    thing.change({ status: 'running', data: { text } });
    if (change % 100 === 0) await delay(0);
  }
  assert.ok(thing.reads <= 4, `${thing.reads} reads`);
  thing.change({ status: 'succeeded', isLast: true });
  const ended = new Promise((resolve) => slow.once('finish', resolve));
  const taking = setInterval(() => take(), 1);
  await ended;
  clearInterval(taking);
  assert.ok(taken.length <= 5, `${taken.length} pieces`);
  assert.match(taken.at(-1) ?? '', /^id: 5001\nevent: job\.succeeded\n/);
});

test('changes that follow each other closely are told as one', async () => {
  const thing = createThing();
  const stream = open(thing, { timing: { ...timing, spacingMs: 50 } });
  await stream.next();
  const changing = setInterval(() => thing.change({ status: 'running' }), 1);
  const begunMs = performance.now();
  const ids = [await stream.next(), await stream.next(), await stream.next()].map((event) =>
    Number(event?.id),
  );
  clearInterval(changing);
  // The first of them waits for the event before.
  assert.ok(performance.now() - begunMs >= 3 * 50 - 5);
  assert.ok((ids[2] ?? 0) > 3, ids.join());
});

test('while nothing happens a comment comes now and then, and a change that nobody told of is found', async () => {
  const thing = createThing();
  const stream = open(thing, { timing: { ...timing, heartbeatMs: 20 } });
  await stream.next();
  const next = stream.next();
  while (stream.parser.comments < 3) await delay(5);
  thing.change({ status: 'succeeded', isLast: true }, { isTold: false });
  assert.equal(brief(await next), '1 job.succeeded');
});

test('a stream goes on when Redis is away for a while, and fails with any other error', async () => {
  const thing = createThing();
  const stream = open(thing);
  await stream.next();
  const next = stream.next();
  thing.fail(new QueueUnavailable('away'));
  thing.change({ status: 'running' });
  while (thing.reads < 6) await delay(1);
  thing.fail(undefined);
  assert.equal(brief(await next), '1 job.running');
  thing.fail(new Error('the record is damaged'));
  thing.change({});
  await assert.rejects(stream.next(), /damaged/);
  assert.equal(thing.followers, 0);
});

test('a stream ends when what it tells of is gone, and when its signal fires', async () => {
  const gone = createThing();
  const stream = open(gone);
  await stream.next();
  gone.change(undefined);
  assert.equal(await stream.next(), undefined);
  assert.equal(gone.followers, 0);

  const thing = createThing();
  const leave = new AbortController();
  const left = open(thing, { signal: leave.signal });
  await left.next();
  const next = left.next();
  leave.abort();
  assert.equal(await next, undefined);
  assert.equal(thing.followers, 0);
});
