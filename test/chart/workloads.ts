import { z } from 'zod';
import type { Document } from './helm.ts';

// The parts of rendered workloads that tests look at.

const envSchema = z.object({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: z.object({ secretKeyRef: z.object({ name: z.string(), key: z.string() }) }).optional(),
});
export type EnvEntry = z.infer<typeof envSchema>;

const probeSchema = z.object({
  httpGet: z.object({ path: z.string(), port: z.string() }),
  periodSeconds: z.number(),
  timeoutSeconds: z.number(),
  failureThreshold: z.number(),
});
export type Probe = z.infer<typeof probeSchema>;

const containerSchema = z.looseObject({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()),
  args: z.array(z.string()).default([]),
  workingDir: z.string().optional(),
  env: z.array(envSchema).default([]),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).default([]),
  securityContext: z.unknown(),
  resources: z.looseObject({ limits: z.record(z.string(), z.unknown()).default({}) }),
  volumeMounts: z
    .array(z.looseObject({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() }))
    .default([]),
});
export type Container = z.infer<typeof containerSchema>;

const podSchema = z.looseObject({
  automountServiceAccountToken: z.boolean(),
  securityContext: z.unknown(),
  terminationGracePeriodSeconds: z.number().optional(),
  initContainers: z.array(containerSchema).default([]),
  containers: z.array(containerSchema).min(1),
  volumes: z.array(z.looseObject({ name: z.string() })).default([]),
});
export type Pod = z.infer<typeof podSchema>;

export const appProbes = z.object({
  startupProbe: probeSchema,
  readinessProbe: probeSchema,
  livenessProbe: probeSchema,
});

const workloadSchema = z.looseObject({
  spec: z.looseObject({
    replicas: z.number().optional(),
    template: z.object({
      metadata: z.looseObject({ labels: z.record(z.string(), z.string()) }),
      spec: podSchema,
    }),
  }),
});

const workloadKinds = new Set(['Deployment', 'StatefulSet']);

export interface Workload {
  kind: string;
  name: string;
  component: string;
  replicas: number | undefined;
  labels: Record<string, string>;
  pod: Pod;
}

export function workloadsOf(documents: readonly Document[]): Workload[] {
  return documents
    .filter(({ kind }) => workloadKinds.has(kind))
    .map((document) => {
      const { spec } = workloadSchema.parse(document);
      const { labels } = spec.template.metadata;
      return {
        kind: document.kind,
        name: document.metadata.name,
        component: labels['app.kubernetes.io/component'] ?? '',
        replicas: spec.replicas,
        labels,
        pod: spec.template.spec,
      };
    });
}

export function workload(documents: readonly Document[], component: string): Workload {
  const found = workloadsOf(documents).find((candidate) => candidate.component === component);
  if (found === undefined) throw new Error(`the chart renders no ${component}`);
  return found;
}

/** The pods of all workloads, and those of hooks. */
export function podsOf(documents: readonly Document[]): Pod[] {
  const hooks = documents.filter(({ kind }) => kind === 'Pod').map(({ spec }) => podSchema.parse(spec));
  return [...workloadsOf(documents).map(({ pod }) => pod), ...hooks];
}

/** The one container that runs an app. */
export function mainContainer({ pod }: Workload): Container {
  const [container, ...others] = pod.containers;
  if (container === undefined || others.length > 0) throw new Error('expected one container');
  return container;
}

/** The environment as the container sees it, with the secrets that its entries name. */
export function environmentOf(
  { env }: Container,
  secrets: Record<string, Record<string, string>>,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const { name, value, valueFrom } of env) {
    const { name: secret = '', key = '' } = valueFrom?.secretKeyRef ?? {};
    const found = valueFrom === undefined ? value : secrets[secret]?.[key];
    if (found === undefined) throw new Error(`${name} has no value: no secret ${secret} with ${key}`);
    // As the kubelet does it: by variables that stand before.
    environment[name] = found.replaceAll(
      /\$\(([A-Z0-9_]+)\)/g,
      (whole, other) => environment[other] ?? whole,
    );
  }
  return environment;
}
