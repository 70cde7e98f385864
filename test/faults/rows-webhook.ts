import assert from 'node:assert/strict';
import { endpointSchema, endpointWithSecretSchema } from '@glyphmill/contract/endpoint';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import { localTenant } from 'glyphmill-cli/local-secrets';
import { until } from '../integration/queue-setup.ts';
import { passWait } from './delayed-deliveries.ts';
import { type Ledger, openLedger } from './ledger.ts';
import { nameServerEnvironment, startNameServer } from './name-server.ts';
import { type Answer, accepted, type Hook, type Receiver, startReceiver } from './receiver.ts';
import { type Row, seconds } from './row.ts';
import type { Environment, FaultSystem } from './system.ts';

const timeoutMs = 3000;
/** The machine is shared. */
const slackMs = 1500;
const minuteMs = 60_000;
/** Waits after the first, second and third failed attempt, with the part of them that is left to chance. */
const waits = [
  { fromMs: 5000, toMs: 6000 },
  { fromMs: 5 * minuteMs, toMs: 6 * minuteMs },
  { fromMs: 30 * minuteMs, toMs: 36 * minuteMs },
] as const;
const [firstWait] = waits;

/** All rows of this file have receivers of their own. */
export async function webhookEnvironment(): Promise<Environment> {
  return { WEBHOOK_TIMEOUT_SECONDS: `${timeoutMs / 1000}`, ...(await nameServerEnvironment()) };
}

export const receiverDown: Row = {
  number: 31,
  fault: 'a webhook receiver is down for ten minutes',
  promise: 'delivered when it is back, under the id of the first attempt',
  quick: true,
  together: true,
  async run(system) {
    const ledger = openLedger(system, 'row-31');
    const secret = tenantSecret(system);
    const before = await startReceiver(secret);
    const { url } = before.hook(accepted);
    await before.close();
    let deliveries: Hook['deliveries'] = [];
    const hook = {
      url,
      get deliveries() {
        return deliveries;
      },
    };
    const id = await ledger.submitLine({ hook });
    await passWait(system, id, waits[0]);
    await passWait(system, id, waits[1]);
    let back: Receiver | undefined;
    try {
      await passWait(system, id, waits[2], async () => {
        back = await startReceiver(secret, before.port);
        const again = back.hook(accepted);
        assert.equal(again.url, url);
        deliveries = again.deliveries;
      });
      const { webhookId } = await untilDelivered(hook, 1);
      await ledger.check();
      const refused = 'retry ECONNREFUSED';
      assert.deepEqual(attempts(system, webhookId), [refused, refused, refused, 'delivered']);
      return '';
    } finally {
      await back?.close();
    }
  },
};

export const receiverRefuses: Row = {
  number: 32,
  fault: 'a webhook receiver answers 500, 429 with Retry-After, 302 or 410',
  promise: 'tried again by the schedule or later; no redirect is followed; 410 ends it and its endpoint',
  quick: true,
  together: true,
  async run(system) {
    const ledger = openLedger(system, 'row-32');
    const elsewhere = system.receiver.hook(accepted);
    const retryAfter = { status: 429, headers: { 'retry-after': '3600' } };
    const redirect = { status: 302, headers: { location: elsewhere.url } };
    const asked = { fromMs: 3_600_000, toMs: 3_601_000 };
    await Promise.all([
      ...[
        { answer: { status: 500 }, wait: firstWait },
        { answer: retryAfter, wait: asked },
        { answer: redirect, wait: firstWait },
      ].map(async ({ answer, wait }) => {
        const hook = system.receiver.hook(answer, accepted);
        const id = await ledger.submitLine({ hook });
        await passWait(system, id, wait);
        await untilDelivered(hook, 2);
      }),
      expectGone(system, ledger),
    ]);
    await ledger.check();
    assert.equal(elsewhere.deliveries.length, 0, 'the redirect was not followed');
    return '';
  },
};

/** An endpoint that answers 410 is never called again. */
async function expectGone(system: FaultSystem, ledger: Ledger): Promise<void> {
  const free = await startReceiver(tenantSecret(system));
  const { url } = free.hook(accepted);
  await free.close();
  const json = { 'content-type': 'application/json' };
  const body = JSON.stringify({ url });
  const response = await system.call('/v1/webhook-endpoints', { method: 'POST', headers: json, body });
  const { id, secret } = endpointWithSecretSchema.parse(await response.json());
  const receiver = await startReceiver(secret, free.port);
  try {
    const hook = receiver.hook({ status: 410 });
    await ledger.submitLine({ hook, more: { webhook: { endpointIds: [id] } } });
    const { webhookId } = await untilDelivered(hook, 1);
    await until('its end', () => attempts(system, webhookId).length > 0);
    assert.deepEqual(attempts(system, webhookId), ['given-up status 410']);
    const answer = await system.call(`/v1/webhook-endpoints/${id}`);
    const { enabled, disabledReason } = endpointSchema.parse(await answer.json());
    assert.deepEqual({ enabled, disabledReason }, { enabled: false, disabledReason: 'gone' });
    await system.call(`/v1/webhook-endpoints/${id}`, { method: 'DELETE' });
  } finally {
    await receiver.close();
  }
}

export const receiverDrops: Row = {
  number: 33,
  fault: 'a webhook receiver takes a delivery and drops the connection before it answers',
  promise: 'delivered again, under the same id',
  quick: true,
  together: true,
  async run(system) {
    const ledger = openLedger(system, 'row-33');
    const hook = system.receiver.hook('drop', accepted);
    const id = await ledger.submitLine({ hook });
    await passWait(system, id, firstWait);
    const { webhookId } = await untilDelivered(hook, 2);
    await ledger.check();
    assert.deepEqual(attempts(system, webhookId), ['retry ECONNRESET', 'delivered']);
    return '';
  },
};

export const receiverStalls: Row = {
  number: 34,
  fault: 'a webhook receiver drips its answer, never ends it, or gives none',
  promise: `an attempt ends within ${seconds(timeoutMs)}, other receivers hear at once`,
  quick: true,
  together: true,
  async run(system) {
    const ledger = openLedger(system, 'row-34');
    const stalling = (['drip', 'never', 'endless'] as const).map((answer) => ({
      answer,
      hook: system.receiver.hook(answer, accepted),
    }));
    const ids = new Map<string, string>();
    for (const { answer, hook } of stalling) ids.set(answer, await ledger.submitLine({ hook }));
    await Promise.all(stalling.map(({ hook }) => untilDelivered(hook, 1)));
    const other = system.receiver.hook(accepted);
    const id = await ledger.submitLine({ hook: other });
    const { atMs } = await untilDelivered(other, 1);
    const { finishedAt } = await ledger.job(id);
    const lateMs = performance.timeOrigin + atMs - Date.parse(finishedAt ?? '');
    assert.ok(lateMs < timeoutMs, `another receiver heard after ${seconds(lateMs)}`);
    for (const answer of ['drip', 'never']) await passWait(system, ids.get(answer) ?? '', firstWait);
    await ledger.check();
    for (const { answer, hook } of stalling) await expectBounded(system, hook, answer);
    return `another heard after ${seconds(lateMs)}`;
  },
};

/** The head of an endless answer has said it all. */
async function expectBounded(system: FaultSystem, hook: Hook, answer: Answer): Promise<void> {
  const ends = answer === 'endless' ? ['delivered'] : [`retry no answer within ${timeoutMs} ms`, 'delivered'];
  const { webhookId } = await untilDelivered(hook, ends.length);
  await until('the last attempt ends', () => attempts(system, webhookId).length >= ends.length);
  assert.deepEqual(attempts(system, webhookId), ends);
  for (const { durationMs } of attemptsIn(system, webhookId))
    assert.ok(Number(durationMs) <= timeoutMs + slackMs, `it took ${durationMs} ms`);
}

export const namesChange: Row = {
  number: 35,
  fault:
    'the name of a webhook receiver leads inside, to both sides, elsewhere at each look (rebinding), nowhere',
  promise: 'no connection to an address that was not looked at; tried again until the name is right',
  together: true,
  async run(system) {
    const ledger = openLedger(system, 'row-35');
    const names = await startNameServer(system.env);
    const outside = ['127.0.0.1'];
    const inside = ['10.0.0.1'];
    names.set('rebinding.fault.test', outside, inside, outside);
    names.set('inside.fault.test', inside, outside);
    names.set('both.fault.test', [...outside, ...inside], outside);
    names.set('unknown.fault.test', [], outside);
    const submit = (name: string) => {
      const hook = system.receiver.hook(accepted);
      const url = hook.url.replace('127.0.0.1', name);
      return ledger.submitLine({ hook: { url, deliveries: hook.deliveries } });
    };
    try {
      const bound = await submit('rebinding.fault.test');
      await ledger.check();
      assert.equal(names.asked('rebinding.fault.test'), 1, 'what was looked at is what was connected to');
      assert.equal((await ledger.job(bound)).status, 'succeeded');
      const host = ['rebinding', 'inside', 'both', 'unknown'].map((name) => `${name}.fault.test`);
      const ids = await Promise.all(host.map(submit));
      for (const id of ids) await passWait(system, id, firstWait);
      await ledger.check();
      return '';
    } finally {
      await names.close();
    }
  },
};

/** What signs deliveries to the addresses that jobs name. */
function tenantSecret({ env }: FaultSystem): string {
  return tenantWebhookSecret(env.WEBHOOK_SIGNING_KEY ?? '', localTenant);
}

function untilDelivered({ deliveries }: Hook, count: number): Promise<Hook['deliveries'][number]> {
  return until(`delivery ${count}`, () => deliveries.length >= count && deliveries.at(-1), 30_000);
}

function attemptsIn({ webhook }: FaultSystem, eventId: string): Record<string, unknown>[] {
  return webhook.log().filter((line) => line.msg === 'delivery attempt' && line.eventId === eventId);
}

/** How the attempts at this event's delivery ended, by the log. */
function attempts(system: FaultSystem, eventId: string): string[] {
  return attemptsIn(system, eventId).map(({ outcome, reason = '' }) => `${outcome} ${reason}`.trim());
}
