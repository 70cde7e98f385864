import { createHmac } from 'node:crypto';

/**
 * The headers of Standard Webhooks 1.0 for one attempt: the id stays the same on every attempt, the
 * timestamp (seconds) is the attempt's own, so that a receiver can refuse replays. Each of `secrets`
 * (`whsec_…`) signs, so that a receiver may know either while one takes the place of the other.
 */
export function signatureHeaders(message: {
  id: string;
  body: string;
  secrets: readonly string[];
  nowMs: number;
}): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const { id, body, secrets, nowMs } = message;
  const timestamp = String(Math.floor(nowMs / 1000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
