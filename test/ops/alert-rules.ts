import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';

export const alertsFile = fileURLToPath(new URL('../../helm/glyphmill/files/alerts.yaml', import.meta.url));

const alertSchema = z.strictObject({
  alert: z.string(),
  expr: z.string(),
  for: z.string().optional(),
  labels: z.strictObject({ severity: z.enum(['warning', 'critical']) }),
  annotations: z.strictObject({ summary: z.string(), runbook_url: z.string() }),
});
export type Alert = z.infer<typeof alertSchema>;

const fileSchema = z.strictObject({
  groups: z.array(z.strictObject({ name: z.string(), rules: z.array(alertSchema) })),
});

/** All alerts of the file that Prometheus and the chart read. */
export function readAlerts(): Alert[] {
  return fileSchema.parse(parse(readFileSync(alertsFile, 'utf8'))).groups.flatMap(({ rules }) => rules);
}
