import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type JobEvent, jobEventSchema } from '@glyphmill/contract/event';
import { listen } from '@glyphmill/service/listen';
import { Webhook } from 'standardwebhooks';

/**
 * What a receiver does once it has a whole delivery. `drop`: it closes the connection. `never`: it keeps it, silent.
 * `drip`: the head of its answer comes a byte at a time. `endless`: 200, and a body without an end.
 */
export type Answer =
  | { status: number; headers?: Record<string, string> }
  | 'drop'
  | 'never'
  | 'drip'
  | 'endless';

export interface Delivery {
  webhookId: string;
  /** SHA-256 of the body. */
  digest: string;
  event: JobEvent;
  atMs: number;
}

export interface Hook {
  url: string;
  deliveries: readonly Delivery[];
}

export interface Receiver {
  port: number;
  /** An address that gives these answers in turn, the last of them for ever. */
  hook(...answers: [Answer, ...Answer[]]): Hook;
  /** Deliveries whose signature or form was not as it should be. */
  readonly refused: number;
  close(): Promise<void>;
}

export const accepted = { status: 204 } as const;
const maxBodyBytes = 64_000;
const dripMs = 100;
const endlessChunkBytes = 8192;

/** Receives webhooks as a careful user would, verifying each with the receiver's own library. */
export async function startReceiver(secret: string, port = 0): Promise<Receiver> {
  const verifier = new Webhook(secret);
  const hooks = new Map<string, { answers: Answer[]; deliveries: Delivery[] }>();
  let refused = 0;
  const server = createServer((request, response) => {
    receive(request, response).catch(() => {
      refused += 1;
      response.writeHead(400).end();
    });
  });

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readText(request);
    const webhookId = String(request.headers['webhook-id']);
    const event: unknown = verifier.verify(body, {
      'webhook-id': webhookId,
      'webhook-timestamp': String(request.headers['webhook-timestamp']),
      'webhook-signature': String(request.headers['webhook-signature']),
    });
    const hook = hooks.get(request.url ?? '');
    if (hook === undefined) throw new Error(`there is no hook at ${request.url}`);
    const answer = hook.answers[Math.min(hook.deliveries.length, hook.answers.length - 1)] ?? accepted;
    const digest = createHash('sha256').update(body).digest('hex');
    hook.deliveries.push({ webhookId, digest, event: jobEventSchema.parse(event), atMs: performance.now() });
    give(answer, response);
  }

  const bound = await listen(server, { host: '127.0.0.1', port });
  return {
    port: bound,
    hook(...answers) {
      const path = `/hook-${hooks.size + 1}`;
      const deliveries: Delivery[] = [];
      hooks.set(path, { answers, deliveries });
      return { url: `http://127.0.0.1:${bound}${path}`, deliveries };
    },
    get refused() {
      return refused;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function give(answer: Answer, response: ServerResponse): void {
  switch (answer) {
    case 'drop':
      response.socket?.destroy();
      return;
    case 'never':
      return;
    case 'drip': {
      response.socket?.write('HTTP/1.1 200 OK\r\nx-drip: ');
      const timer = setInterval(() => response.socket?.write('a'), dripMs);
      response.socket?.once('close', () => clearInterval(timer));
      return;
    }
    case 'endless': {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(endlessChunkBytes)));
      };
      response.on('drain', more);
      more();
      return;
    }
    default:
      response.writeHead(answer.status, answer.headers).end();
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > maxBodyBytes) throw new Error('the body is too large for a webhook');
  }
  return text;
}
