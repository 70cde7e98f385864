import { createHmac } from 'node:crypto';

/**
 * The secret that signs a tenant's webhooks, in the form of Standard Webhooks: `whsec_` and 32 bytes in
 * base64. Derived from the installation's `root` key, so that no process has to store it.
 */
export function tenantWebhookSecret(root: string, tenant: string): string {
  return `whsec_${createHmac('sha256', root).update(`tenant:${tenant}`).digest('base64')}`;
}
