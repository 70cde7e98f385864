import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { findHelm, type HelmRelease, helmReleases } from './helm-binary.ts';

const run = promisify(execFile);

export const chartDir = fileURLToPath(new URL('../../helm/glyphmill', import.meta.url));
const outputLimitBytes = 32 * 1024 * 1024;
/** Has image volumes with a subPath, which `ci/gpu-mig-values.yaml` uses. */
const kubeVersion = '1.33.0';

/** The names of the values files of ci/, without `-values.yaml`. */
export const scenarios = readdirSync(join(chartDir, 'ci')).map((file) => file.replace('-values.yaml', ''));

const documentSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
});
export type Document = z.infer<typeof documentSchema>;

export interface RenderOptions {
  release?: HelmRelease;
  /** A values file of ci/. */
  scenario?: string;
  /** Values over it, by path: `{'worker.replicas': 3}`. */
  set?: Record<string, unknown>;
  args?: string[];
  /** Another chart than that of this checkout: a package of it. */
  chart?: string;
}

/** What Helm prints for the chart; rejects with what it says where it refuses. */
export async function template(options: RenderOptions): Promise<string> {
  const { chart = chartDir } = options;
  const { stdout } = await helm(options, ['template', 'release', chart, '--namespace', 'ocr']);
  return stdout;
}

/** What Helm 4 would say after an install, which Helm 3 tells only where it reaches a cluster. */
export async function notes(options: RenderOptions): Promise<string> {
  const { stdout } = await helm(options, [
    'install',
    'release',
    chartDir,
    '--namespace',
    'ocr',
    '--dry-run=client',
  ]);
  return stdout.slice(stdout.indexOf('\nNOTES:'));
}

/** The documents that the chart renders to. */
export async function render(options: RenderOptions): Promise<Document[]> {
  return parseDocuments(await template(options));
}

export function parseDocuments(text: string): Document[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(document.errors.map(String).join('\n'));
    const value: unknown = document.toJS();
    return value === null ? [] : [documentSchema.parse(value)];
  });
}

/** Packages the chart into a folder; the path of the archive. */
export async function packageChart(dir: string): Promise<string> {
  const { stdout } = await helm({}, ['package', chartDir, '--destination', dir]);
  return /\S+\.tgz/.exec(stdout)?.[0] ?? '';
}

export async function lint(options: RenderOptions): Promise<string> {
  const { stdout } = await helm(options, ['lint', '--strict', chartDir]);
  return stdout;
}

async function helm(options: RenderOptions, command: string[]) {
  const { release = helmReleases[0], scenario, set = {}, args = [] } = options;
  if (release === undefined) throw new Error('expected a Helm');
  const all = [
    ...command,
    ...(command[0] === 'install' || command[0] === 'package' ? [] : ['--kube-version', kubeVersion]),
    ...(scenario === undefined ? [] : ['--values', join(chartDir, 'ci', `${scenario}-values.yaml`)]),
    ...Object.entries(set).flatMap(([path, value]) => ['--set-json', `${path}=${JSON.stringify(value)}`]),
    ...args,
  ];
  const env = { PATH: process.env.PATH, HOME: join(tmpdir(), 'glyphmill-no-home') };
  return run(await findHelm(release), all, { env, maxBuffer: outputLimitBytes });
}
