import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as gateway from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1';
import * as keda from '@kubernetes-models/keda/keda.sh/v1alpha1';
import * as prometheus from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import * as apps from 'kubernetes-models/apps/v1';
import * as autoscaling from 'kubernetes-models/autoscaling/v2';
import * as networking from 'kubernetes-models/networking.k8s.io/v1';
import * as policy from 'kubernetes-models/policy/v1';
import * as core from 'kubernetes-models/v1';
import { z } from 'zod';
import type { Document } from './helm.ts';

// Every kind that the chart may render. Values of wrong types and missing fields are found when a document is
// validated; unknown fields when it is checked by the compiler, as an object literal of its type.

const modules = {
  v1: { models: core, from: 'kubernetes-models/v1' },
  'apps/v1': { models: apps, from: 'kubernetes-models/apps/v1' },
  'autoscaling/v2': { models: autoscaling, from: 'kubernetes-models/autoscaling/v2' },
  'networking.k8s.io/v1': { models: networking, from: 'kubernetes-models/networking.k8s.io/v1' },
  'policy/v1': { models: policy, from: 'kubernetes-models/policy/v1' },
  'keda.sh/v1alpha1': { models: keda, from: '@kubernetes-models/keda/keda.sh/v1alpha1' },
  'monitoring.coreos.com/v1': {
    models: prometheus,
    from: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
  },
  'gateway.networking.k8s.io/v1': {
    models: gateway,
    from: '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1',
  },
};

const isModule = (apiVersion: string): apiVersion is keyof typeof modules => apiVersion in modules;

function moduleOf({ apiVersion }: Document) {
  if (!isModule(apiVersion)) throw new Error(`no types are known of ${apiVersion}; add them to kinds.ts`);
  return modules[apiVersion];
}

const modelSchema = z.custom<new (data: object) => { validate(): void }>(
  (value) => typeof value === 'function',
);

/** Throws where a document lacks a field that its kind requires, or has a value of a wrong type. */
export function validate(document: Document): void {
  const Model = modelSchema.parse(new Map(Object.entries(moduleOf(document).models)).get(document.kind));
  new Model(document).validate();
}

const root = fileURLToPath(new URL('../../', import.meta.url));

/** What the compiler says against the documents, with the name of each; nothing if all is well. */
export async function typeErrors(
  documents: readonly { name: string; document: Document }[],
): Promise<string> {
  // Inside the checkout, so that the packages are found.
  await mkdir(join(root, '.glyphmill/cache'), { recursive: true });
  const dir = await mkdtemp(join(root, '.glyphmill/cache/chart-types-'));
  try {
    const lines = documents.map(({ name, document }, at) => {
      const type = `import('${moduleOf(document).from}').I${document.kind}`;
      return `// ${name}\nexport const d${at}: ${type} = ${JSON.stringify(document)};`;
    });
    await writeFile(join(dir, 'documents.ts'), `${lines.join('\n')}\n`);
    const settings = { extends: join(root, 'tsconfig.json'), include: ['documents.ts'] };
    await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(settings));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    await promisify(execFile)(process.execPath, [tsc, '--noEmit', '-p', dir]);
    return '';
  } catch (error) {
    const found = z.object({ stdout: z.string() }).safeParse(error);
    if (found.success && found.data.stdout !== '') return found.data.stdout;
    throw error;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
