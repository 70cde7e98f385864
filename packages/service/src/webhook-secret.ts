import { createHmac, randomBytes } from 'node:crypto';

// Secrets in the form of Standard Webhooks: `whsec_` and 32 bytes in base64.

const secretBytes = 32;

/**
 * The secret that signs what goes to the addresses that a tenant's jobs name themselves. Derived from the
 * installation's `root` key, so that no process has to store it.
 */
export function tenantWebhookSecret(root: string, tenant: string): string {
  return `whsec_${createHmac('sha256', root).update(`tenant:${tenant}`).digest('base64')}`;
}

/** A secret for one endpoint. */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(secretBytes).toString('base64')}`;
}
