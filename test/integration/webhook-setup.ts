import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { batchEventSchema } from '@glyphmill/contract/batch';
import { endpointDisabledEventSchema, jobEventSchema, pingEventSchema } from '@glyphmill/contract/event';
import type { Task } from '@glyphmill/contract/message';
import { commit, type Outcome } from '@glyphmill/queue/attempt';
import { connectConsumer } from '@glyphmill/queue/connection';
import { openJobStore } from '@glyphmill/queue/job-store';
import { keysOf, type QueueAddress } from '@glyphmill/queue/keys';
import { readConfig } from '@glyphmill/service/config';
import { listen } from '@glyphmill/service/listen';
import { createLogger } from '@glyphmill/service/logger';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import type { ResolveName } from 'glyphmill-webhook/address';
import { startWebhookApp } from 'glyphmill-webhook/app';
import { webhookSettings } from 'glyphmill-webhook/config';
import { createSchedule } from 'glyphmill-webhook/schedule';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { begin, newJob, newShard, succeeded, testLimits } from './queue-setup.ts';

export const signingKey = 'canary-root-key-canary-root-key-0123';

export interface Received {
  id: string;
  headers: IncomingHttpHeaders;
  url: string;
  body: string;
  atMs: number;
}

/** A receiver on loopback that notes each whole request before `answer` decides what becomes of it. */
export async function startReceiver(
  answer: (response: ServerResponse, turn: number, request: IncomingMessage) => void = (response) => {
    response.writeHead(204).end();
  },
  { host = '127.0.0.1', port = 0 } = {},
) {
  const requests: Received[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const id = String(request.headers['webhook-id']);
    const atMs = performance.now();
    requests.push({ id, headers: request.headers, url: request.url ?? '', body, atMs });
    answer(response, requests.length, request);
  });
  const bound = await listen(server, { host, port });
  return {
    url: `http://${host}:${bound}/hook`,
    port: bound,
    requests,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Throws unless the receiver's own library takes the request for genuine; returns the event. */
export function verified(request: Received, tenant = 'acme'): unknown {
  return verifiedWith(tenantWebhookSecret(signingKey, tenant), request);
}

export function verifiedWith(secret: string, { headers, body }: Received): unknown {
  const event = new Webhook(secret).verify(body, {
    'webhook-id': String(headers['webhook-id']),
    'webhook-timestamp': String(headers['webhook-timestamp']),
    'webhook-signature': String(headers['webhook-signature']),
  });
  assert.deepEqual(documentedSchema.parse(event), event, 'it has what is documented and no more');
  return event;
}

const documentedSchema = z.discriminatedUnion('type', [
  batchEventSchema,
  jobEventSchema,
  endpointDisabledEventSchema,
  pingEventSchema,
]);

/** One installation in the given Redis, by default of its own: what ends jobs in it, and its webhook processes. */
export async function openInstallation(redisUrl: string, shard = newShard()) {
  const address: QueueAddress = { url: redisUrl, shard };
  const keys = keysOf(address.shard);
  const onError = () => {};
  const redis = connectConsumer(redisUrl, onError);
  const store = await openJobStore(address, { limits: testLimits, onError, onWarning: () => {} });
  const closers: (() => Promise<void>)[] = [];
  return {
    address,
    keys,
    redis,
    /** Ends a job whose webhook goes to a URL, or to whom `to` says, and returns its id. */
    async endJob(
      to: string | Task['webhook'],
      { outcome = succeeded, tenant = 'acme' }: { outcome?: Outcome; tenant?: string } = {},
    ) {
      const webhook = typeof to === 'string' ? { url: to, events: null } : to;
      const job = newJob({ webhook, metadata: { ref: '9912' } }, tenant);
      await store.submit(job);
      const answer = await commit(redis, keys, { attempt: await begin(redis, keys, job.id), outcome });
      if (answer !== 'ok') throw new Error(`the job did not end: ${answer}`);
      return job.id;
    },
    async startApp({
      delaysMs = [20, 20, 20],
      env = {},
      resolve,
    }: {
      delaysMs?: number[];
      env?: Record<string, string>;
      resolve?: ResolveName;
    } = {}) {
      const config = readConfig(webhookSettings, {
        WEBHOOK_SIGNING_KEY: signingKey,
        WEBHOOK_ALLOW_HTTP: 'true',
        WEBHOOK_ALLOWED_CIDRS: '127.0.0.0/8',
        WEBHOOK_TIMEOUT_SECONDS: '1',
        REDIS_URL: redisUrl,
        REDIS_SHARD: address.shard,
        METRICS_PORT: '0',
        ...env,
      });
      const log = createLogger({ service: 'webhook', level: 'silent' });
      const schedule = createSchedule(delaysMs, () => 0);
      const app = await startWebhookApp({ config, log, schedule, ...(resolve ? { resolve } : {}) });
      closers.push(app.close);
      return app;
    },
    async close() {
      await Promise.all(closers.map((close) => close()));
      await store.close();
      redis.disconnect();
    },
  };
}

/** The value of one metric of a process, for example `ocr_webhook_deliveries_total{outcome="delivered"}`. */
export async function metric(port: number, name: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

export const ended = (outcome: 'delivered' | 'retry' | 'given-up') =>
  `ocr_webhook_deliveries_total{outcome="${outcome}"}`;
