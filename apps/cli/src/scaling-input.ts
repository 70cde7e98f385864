import { readFileSync } from 'node:fs';
import { defaultRules, type HpaOptions, type ScalingRules } from '@glyphmill/core/hpa';
import type { LoadStep } from '@glyphmill/core/simulate-scaling';
import { z } from 'zod';
import { CliError } from './cli-error.ts';

const atSeconds = z.number().min(0);
const loadSchema = z
  .array(
    z.union([
      z.strictObject({ atSeconds, pagesPerSecond: z.number().min(0) }),
      z
        .strictObject({ atSeconds, documents: z.int().min(0), pagesPerDocument: z.number().positive() })
        .transform(({ documents, pagesPerDocument, ...at }) => ({
          ...at,
          pages: documents * pagesPerDocument,
        })),
    ]),
  )
  .min(1);

/** A load curve: `[{"atSeconds":0,"pagesPerSecond":5},{"atSeconds":600,"documents":3000,"pagesPerDocument":1},…]`. */
export function readLoad(file: string): LoadStep[] {
  return parse(file, loadSchema).toSorted((a, b) => a.atSeconds - b.atSeconds);
}

const policySchema = z.object({
  type: z.enum(['Pods', 'Percent']),
  value: z.int().positive(),
  periodSeconds: z.int().positive(),
});
const rulesSchema = (defaults: ScalingRules) =>
  z
    .object({
      stabilizationWindowSeconds: z.int().min(0).default(defaults.stabilizationWindowSeconds),
      policies: z
        .array(policySchema)
        .min(1)
        .default([...defaults.policies]),
      selectPolicy: z.enum(['Max', 'Min', 'Disabled']).default(defaults.selectPolicy),
    })
    .default({ ...defaults, policies: [...defaults.policies] });

/** What is read of an HPA as `kubectl get hpa -o json` or `helm template` gives it. */
const hpaSchema = z.object({
  spec: z.object({
    minReplicas: z.int().min(0).default(1),
    maxReplicas: z.int().positive(),
    behavior: z
      .object({
        scaleUp: rulesSchema(defaultRules.scaleUp),
        scaleDown: rulesSchema(defaultRules.scaleDown),
      })
      .prefault({}),
    metrics: z
      .array(
        z.object({
          external: z.object({ target: z.object({ averageValue: z.coerce.number().positive() }) }),
        }),
      )
      .default([]),
  }),
});

/** The rules of an HPA in a file, and the target of its first metric if it has one. */
export function readHpa(file: string): {
  hpa: Omit<HpaOptions, 'tolerance'>;
  targetSeconds: number | undefined;
} {
  const { minReplicas, maxReplicas, behavior, metrics } = parse(file, hpaSchema).spec;
  return {
    hpa: { minReplicas, maxReplicas, ...behavior },
    targetSeconds: metrics[0]?.external.target.averageValue,
  };
}

function parse<S extends z.ZodType>(file: string, schema: S): z.output<S> {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CliError('usage', `${file} cannot be read as JSON`, { cause: error });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new CliError('usage', `${file}:\n${z.prettifyError(parsed.error)}`);
}
