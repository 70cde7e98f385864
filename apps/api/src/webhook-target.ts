import type { Task } from '@glyphmill/contract/message';
import type { Webhook } from '@glyphmill/contract/webhook';
import { literalAddress } from '@glyphmill/service/address-guard';
import type { Dependencies } from './dependencies.ts';
import { Problem } from './problem.ts';

/**
 * Whom a job of this tenant tells of its end. Throws the Problem that stands against it: an address that is
 * not allowed, or an endpoint that there is not.
 */
export async function webhookTarget(
  dependencies: Pick<Dependencies, 'config' | 'guard' | 'endpoints'>,
  tenant: string,
  webhook: Webhook | undefined,
): Promise<Task['webhook']> {
  if (webhook === undefined) return null;
  const { url, endpointIds = [], events = null } = webhook;
  if (url !== undefined) {
    checkWebhookUrl(dependencies, url);
    return { url, events };
  }
  const known = new Set((await dependencies.endpoints.list(tenant)).map(({ id }) => id));
  const errors = endpointIds.flatMap((id, index) =>
    known.has(id)
      ? []
      : [{ pointer: `/webhook/endpointIds/${index}`, detail: `there is no webhook endpoint ${id}` }],
  );
  if (errors.length > 0) {
    const detail = errors.map((error) => `${error.pointer}: ${error.detail}`).join('; ');
    throw new Problem('validation-failed', { detail, errors });
  }
  return { endpointIds: [...new Set(endpointIds)], events };
}

/**
 * Refuses a URL that webhooks could never be sent to. What its name resolves to is looked at when one is
 * sent, since it may change until then.
 */
export function checkWebhookUrl(
  { config, guard }: Pick<Dependencies, 'config' | 'guard'>,
  url: string,
): void {
  const { protocol, hostname } = new URL(url);
  if (protocol !== 'https:' && !config.webhookAllowHttp) {
    throw new Problem('address-not-allowed', { detail: 'A webhook needs an https:// address.' });
  }
  const address = literalAddress(hostname);
  if (address !== undefined && !guard.allows(address)) {
    throw new Problem('address-not-allowed', {
      detail: `Webhooks go to public addresses only, and ${address} is not; an operator may allow its network.`,
    });
  }
}
