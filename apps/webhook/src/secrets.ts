import type { Target } from '@glyphmill/queue/delivery-target';
import { createSecretSeal } from '@glyphmill/service/secret-seal';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';

/**
 * Tells which secrets sign what goes to a target: an endpoint's own, or those of its tenant. `roots` are the
 * signing key and, while it is being replaced, the one before. None where an endpoint's secrets cannot be opened.
 */
export function createSecretsOf({
  roots,
  onError,
}: {
  roots: readonly [string, ...string[]];
  onError: (error: Error) => void;
}): (tenant: string, target: Target) => string[] {
  const seal = createSecretSeal(roots);
  return (tenant, { endpoint }) => {
    if (endpoint === null) return roots.map((root) => tenantWebhookSecret(root, tenant));
    const { id, sealedSecrets } = endpoint;
    const secrets = sealedSecrets.flatMap((sealed) => seal.open(sealed, id) ?? []);
    if (secrets.length === 0) {
      onError(
        new Error(
          `the secret of the webhook endpoint ${id} was sealed under another WEBHOOK_SIGNING_KEY; set that one as WEBHOOK_PREVIOUS_SIGNING_KEY, or let its owner rotate the secret`,
        ),
      );
    }
    return secrets;
  };
}
