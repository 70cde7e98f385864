import { createHmac } from 'node:crypto';

/**
 * The headers of Standard Webhooks 1.0 for one attempt: the id stays the same on every attempt, the
 * timestamp (seconds) is the attempt's own, so that a receiver can refuse replays. `secret` is `whsec_…`.
 */
export function signatureHeaders(message: {
  id: string;
  body: string;
  secret: string;
  nowMs: number;
}): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const { id, body, secret, nowMs } = message;
  const timestamp = String(Math.floor(nowMs / 1000));
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
