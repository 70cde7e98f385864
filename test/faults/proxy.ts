import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** How bytes travel, either way. Latency is one way; jitter is added to or taken from it, by up to its size. */
export interface Travel {
  latencyMs?: number;
  jitterMs?: number;
  bytesPerSecond?: number;
}

/** Waits for a request with certain bytes in it, and stops there what passes on its connection. */
export interface Trap {
  /** Resolves once such a request has come. */
  seen: Promise<void>;
  /** Lets pass what was held. A trap catches one request. */
  release(): void;
}

/** A TCP proxy on loopback that does to connections what networks do. */
export interface FaultProxy {
  port: number;
  /** Connections made from now on go there. */
  target(port: number): void;
  travel(how: Travel): void;
  /** Nobody listens any more, and open connections are reset. */
  refuse(): Promise<void>;
  /** New connections are taken and nothing passes on them. */
  hang(): void;
  /** What is sent on any connection waits. */
  hold(): void;
  /** What is sent on the connections open now vanishes, either way, and nobody is told. New ones work. */
  silence(): void;
  /** RST on all connections open now. */
  reset(): void;
  /** Each connection is cut once so many bytes of answers have passed on it. */
  cutAfter(bytes: number): void;
  /** Ends all of the above. What was held passes; what was silenced stays so. */
  restore(): Promise<void>;
  /** `before`: the request is held and does not arrive. `after`: it arrives, and its answer is held. */
  trap(pattern: RegExp, side: 'before' | 'after'): Trap;
  close(): Promise<void>;
}

const host = '127.0.0.1';
/** What a trap looks back for the beginning of its request: enough for a script's digest and its keys. */
const tailBytes = 1024;
/** More than this waiting in one direction stops the reading of it. */
const maxQueuedBytes = 8_000_000;

interface Armed {
  pattern: RegExp;
  side: 'before' | 'after';
  caught: () => void;
  gate: Gate;
}

interface Line {
  client: Socket;
  server: Socket;
  silenced: boolean;
  /** Requests and answers wait at these. */
  requests: Gate[];
  answers: Gate[];
  answerBytes: number;
}

export async function startProxy(targetPort: number): Promise<FaultProxy> {
  const lines = new Set<Line>();
  const armed = new Set<Armed>();
  const everything = createGate();
  let target = targetPort;
  let travel: Travel = {};
  let hanging = false;
  let cutAfterBytes = Number.POSITIVE_INFINITY;

  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: target, host, noDelay: true });
    const requests = [everything];
    const answers = [everything];
    const line: Line = { client, server: upstream, silenced: false, requests, answers, answerBytes: 0 };
    if (hanging) requests.push(createGate('shut'));
    lines.add(line);
    const end = () => {
      lines.delete(line);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    watchFor(line, client);
    carry({ from: client, to: upstream, gates: requests, line });
    carry({ from: upstream, to: client, gates: answers, line });
  });

  /** Looks for the armed patterns in what the client sends, also where they come in two pieces. */
  function watchFor(line: Line, client: Socket): void {
    let tail = '';
    client.on('data', (bytes) => {
      const text = tail + bytes.toString('latin1');
      for (const trap of armed) {
        if (!trap.pattern.test(text)) continue;
        armed.delete(trap);
        (trap.side === 'before' ? line.requests : line.answers).push(trap.gate);
        trap.caught();
      }
      tail = armed.size === 0 ? '' : text.slice(-tailBytes);
    });
  }

  function carry({ from, to, gates, line }: { from: Socket; to: Socket; gates: Gate[]; line: Line }): void {
    let queuedBytes = 0;
    let freeAtMs = 0;
    let last = Promise.resolve();
    const isAnswer = from === line.server;
    from.on('data', (bytes) => {
      if (line.silenced) return;
      queuedBytes += bytes.length;
      if (queuedBytes > maxQueuedBytes) from.pause();
      const { latencyMs = 0, jitterMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = travel;
      const dueMs = performance.now() + latencyMs + jitterMs * (2 * Math.random() - 1);
      freeAtMs = Math.max(freeAtMs, dueMs) + (bytes.length / bytesPerSecond) * 1000;
      const atMs = freeAtMs;
      last = last.then(async () => {
        if (atMs > performance.now()) await delay(atMs - performance.now());
        for (const gate of gates) await gate.passed();
        queuedBytes -= bytes.length;
        if (queuedBytes <= maxQueuedBytes) from.resume();
        if (line.silenced || to.destroyed) return;
        if (!isAnswer) return void to.write(bytes);
        const left = cutAfterBytes - line.answerBytes;
        line.answerBytes += bytes.length;
        to.write(bytes.subarray(0, Math.max(0, left)));
        if (bytes.length >= left) line.client.destroySoon();
      });
    });
    from.on('end', () => {
      last = last.then(() => void to.end());
    });
  }

  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  const reset = () => {
    for (const { client, server: upstream } of lines) {
      // A connection that is being shut down cannot be reset any more, and would be left open.
      if (client.writableEnded) client.destroy();
      else client.resetAndDestroy();
      upstream.destroy();
    }
  };
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      reset();
    });

  await listen(0);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP port for the proxy');
  const { port } = address;
  return {
    port,
    target: (to) => {
      target = to;
    },
    travel: (how) => {
      travel = how;
    },
    refuse: stop,
    hang: () => {
      hanging = true;
    },
    hold: () => everything.shut(),
    silence: () => {
      for (const line of lines) line.silenced = true;
    },
    reset,
    cutAfter: (bytes) => {
      cutAfterBytes = bytes;
      for (const line of lines) line.answerBytes = 0;
    },
    async restore() {
      travel = {};
      hanging = false;
      cutAfterBytes = Number.POSITIVE_INFINITY;
      everything.open();
      if (!server.listening) await listen(port);
    },
    trap(pattern, side) {
      const gate = createGate('shut');
      const seen = new Promise<void>((resolve) => {
        armed.add({ pattern, side, caught: resolve, gate });
      });
      return { seen, release: gate.open };
    },
    async close() {
      everything.open();
      if (server.listening) await stop();
    },
  };
}

interface Gate {
  shut(): void;
  open(): void;
  passed(): Promise<void>;
}

function createGate(state: 'open' | 'shut' = 'open'): Gate {
  let waiting = Promise.resolve();
  let release = () => {};
  const gate: Gate = {
    shut() {
      gate.open();
      waiting = new Promise((resolve) => {
        release = resolve;
      });
    },
    open: () => release(),
    passed: () => waiting,
  };
  if (state === 'shut') gate.shut();
  return gate;
}
