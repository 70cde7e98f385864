import { type QuotaUnit, type QuotaUsage, quotaUnits } from '@glyphmill/queue/quota';

/**
 * What is left of a tenant's quotas, as the RateLimit fields of draft-ietf-httpapi-ratelimit-headers-10. They bound what
 * is open at one time, so they have no window; when more becomes free is told only once one is used up. The draft has no
 * unit of pages or megapixels: there the policy's name says it.
 */
export function rateLimitHeaders(
  usage: QuotaUsage,
  limits: QuotaUsage,
  exceeded?: { unit: QuotaUnit; retryAfterSeconds: number },
): Record<string, string> {
  const policies = quotaUnits.map((unit) => {
    const quotaUnit = unit === 'jobs' ? ';qu="concurrent-requests"' : '';
    return `"${unit}";q=${limits[unit]}${quotaUnit}`;
  });
  const left = quotaUnits.map((unit) => {
    const remaining = Math.max(0, Math.floor(limits[unit] - usage[unit]));
    return `"${unit}";r=${remaining}${unit === exceeded?.unit ? `;t=${exceeded.retryAfterSeconds}` : ''}`;
  });
  return { 'ratelimit-policy': policies.join(', '), ratelimit: left.join(', ') };
}
