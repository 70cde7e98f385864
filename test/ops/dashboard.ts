import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const file = fileURLToPath(new URL('../../helm/glyphmill/files/dashboards/glyphmill.json', import.meta.url));

const panelSchema = z.object({
  id: z.int(),
  title: z.string(),
  type: z.enum(['row', 'timeseries', 'stat', 'table']),
  description: z.string().optional(),
  gridPos: z.object({ x: z.int(), y: z.int(), w: z.int(), h: z.int() }),
  datasource: z.object({ type: z.literal('prometheus'), uid: z.literal(`\${datasource}`) }).optional(),
  targets: z.array(z.object({ expr: z.string() })).default([]),
});
export type Panel = z.infer<typeof panelSchema>;

const dashboardSchema = z.object({ uid: z.literal('glyphmill'), panels: z.array(panelSchema) });

/** The panels of the Grafana dashboard. */
export function readPanels(): Panel[] {
  return dashboardSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).panels;
}
