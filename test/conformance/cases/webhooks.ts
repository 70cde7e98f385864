import { createHmac } from 'node:crypto';
import type { Case, Step } from '../case.ts';

const key = Buffer.from('a key of twenty-four bytes or more');
const secret = `whsec_${key.toString('base64')}`;
const seconds = 1_790_000_000;
const body = JSON.stringify({
  type: 'job.succeeded',
  timestamp: '2026-09-21T14:13:20Z',
  data: {
    jobId: 'job_1',
    status: 'succeeded',
    metadata: { ref: 'é€' },
    pages: 1,
    result: '/v1/jobs/job_1/result',
    error: null,
  },
});

function sign(text: string, withKey: Buffer = key): string {
  return `v1,${createHmac('sha256', withKey).update(`evt_1.${seconds}.${text}`).digest('base64')}`;
}

function delivery(
  changes: { headers?: Record<string, string>; body?: string; secret?: string; lateSeconds?: number } = {},
): Step[] {
  const headers = {
    'webhook-id': 'evt_1',
    'webhook-timestamp': `${seconds}`,
    'webhook-signature': sign(body),
    ...changes.headers,
  };
  const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''));
  const nowMs = (seconds + (changes.lateSeconds ?? 10)) * 1000;
  return [
    {
      do: 'webhooks.unwrap',
      webhook: { body: changes.body ?? body, headers: given, secret: changes.secret ?? secret, nowMs },
    },
  ];
}

const refused = { error: { name: 'WebhookVerificationError' } };

/** What receivers believe. */
export const webhookCases: Case[] = [
  {
    name: 'a delivery that is signed is believed',
    steps: delivery(),
    expect: { value: { type: 'job.succeeded', data: { jobId: 'job_1', metadata: { ref: 'é€' } } } },
  },
  {
    name: 'while a secret is replaced one of two signatures is enough',
    steps: delivery({
      headers: {
        'webhook-signature': `${sign(body, Buffer.from('an older secret, long enough'))} ${sign(body)}`,
      },
    }),
    expect: { value: { type: 'job.succeeded' } },
  },
  {
    name: 'names of headers are the same in capitals',
    steps: [
      {
        do: 'webhooks.unwrap',
        webhook: {
          body,
          headers: {
            'Webhook-Id': 'evt_1',
            'WEBHOOK-TIMESTAMP': `${seconds}`,
            'Webhook-Signature': sign(body),
          },
          secret,
          nowMs: seconds * 1000,
        },
      },
    ],
    expect: { value: { type: 'job.succeeded' } },
  },
  {
    name: 'a body that was changed is not believed',
    steps: delivery({ body: body.replace('job_1', 'job_2') }),
    expect: refused,
  },
  {
    name: 'nor one that was written anew',
    steps: delivery({ body: JSON.stringify(JSON.parse(body), null, 1) }),
    expect: refused,
  },
  {
    name: 'a signature by another secret is not believed',
    steps: delivery({ secret: `whsec_${Buffer.from('quite another secret than that').toString('base64')}` }),
    expect: refused,
  },
  {
    name: 'another id is not believed',
    steps: delivery({ headers: { 'webhook-id': 'evt_2' } }),
    expect: refused,
  },
  { name: 'a delivery of long ago is not believed', steps: delivery({ lateSeconds: 301 }), expect: refused },
  { name: 'nor one from the future', steps: delivery({ lateSeconds: -301 }), expect: refused },
  {
    name: 'a delivery of four minutes ago is',
    steps: delivery({ lateSeconds: 240 }),
    expect: { value: { type: 'job.succeeded' } },
  },
  {
    name: 'a delivery without a signature is not believed',
    steps: delivery({ headers: { 'webhook-signature': '' } }),
    expect: refused,
  },
  {
    name: 'a signature of another version is not believed',
    steps: delivery({ headers: { 'webhook-signature': sign(body).replace('v1,', 'v2,') } }),
    expect: refused,
  },
  {
    name: 'what is no signature at all is not believed',
    steps: delivery({ headers: { 'webhook-signature': 'v1,!! v1, v1,AAAA' } }),
    expect: refused,
  },
  {
    name: 'a time that is none is not believed',
    steps: delivery({ headers: { 'webhook-timestamp': 'soon' } }),
    expect: refused,
  },
];
