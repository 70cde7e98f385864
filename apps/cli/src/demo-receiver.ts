import { createServer, type IncomingMessage } from 'node:http';
import { jobEventSchema } from '@glyphmill/contract/event';
import { listen } from '@glyphmill/service/listen';
import { Webhook } from 'standardwebhooks';

export interface Receiver {
  url: string;
  /** Deliveries by job whose signature held. */
  verified: ReadonlyMap<string, ReadonlySet<string>>;
  /** Deliveries that were refused. */
  readonly refused: number;
  close(): Promise<void>;
}

const maxBodyBytes = 64_000;

/** A webhook receiver as a user would write it: verify the signature, answer 204. */
export async function startReceiver(secret: string): Promise<Receiver> {
  const verifier = new Webhook(secret);
  const verified = new Map<string, Set<string>>();
  let refused = 0;
  const server = createServer((request, response) => {
    receive(request)
      .then(({ webhookId, jobId }) => {
        verified.set(jobId, (verified.get(jobId) ?? new Set()).add(webhookId));
        response.writeHead(204).end();
      })
      .catch(() => {
        refused += 1;
        response.writeHead(400).end();
      });
  });

  async function receive(request: IncomingMessage): Promise<{ webhookId: string; jobId: string }> {
    const body = await readText(request);
    const webhookId = String(request.headers['webhook-id']);
    const event: unknown = verifier.verify(body, {
      'webhook-id': webhookId,
      'webhook-timestamp': String(request.headers['webhook-timestamp']),
      'webhook-signature': String(request.headers['webhook-signature']),
    });
    return { webhookId, jobId: jobEventSchema.parse(event).data.jobId };
  }

  const port = await listen(server, { host: '127.0.0.1', port: 0 });
  return {
    url: `http://127.0.0.1:${port}/`,
    verified,
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

async function readText(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > maxBodyBytes) throw new Error('the body is too large for a webhook');
  }
  return text;
}
