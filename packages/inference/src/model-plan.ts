import { readFile } from 'node:fs/promises';
import { cudaLibraryMissing } from './cuda-library.ts';
import type { OpenMessage } from './instance-messages.ts';
import { ModelConfigError } from './model-config-error.ts';
import type { ModelVersion } from './repository.ts';
import { defaultInstanceCount } from './threads.ts';

/** What the caller of openModels asked for over the config. */
export interface PlanOptions {
  provider: 'auto' | 'cpu' | 'cuda';
  instances: number | undefined;
  threads: number | undefined;
  /** Cores. */
  budget: number;
}

/** How the instances of one model version are to be opened. */
export interface ModelPlan {
  /** `gpu` is set by `gpuOf`, `provider` by the first instance that comes up. */
  open: OpenMessage;
  threads: number;
  /** Instances on the CPU, and on each GPU. */
  cpuCount: number;
  countPerGpu: number;
  gpus: readonly number[];
  /** Why CUDA was not even tried, where it was open to choice. */
  providerReason: string | undefined;
}

/** Throws `ModelConfigError` where `provider` contradicts the kind of the instance group. */
export async function planModel(version: ModelVersion, options: PlanOptions): Promise<ModelPlan> {
  const { config, configPath, modelPath, labelPath, sha256 } = version;
  const { count, gpus } = config.instanceGroup;
  const asked = askedProvider(version, options.provider);
  const missing = asked === 'auto' ? cudaLibraryMissing() : undefined;
  const threads = Math.min(options.threads ?? config.session.intraThreads, options.budget);
  const open: OpenMessage = {
    type: 'open',
    configText: await readFile(configPath, 'utf8'),
    configPath,
    modelPath,
    ...(labelPath === undefined ? {} : { labelPath }),
    sha256,
    provider: missing === undefined ? asked : 'cpu',
    gpu: gpus[0] ?? 0,
    intraThreads: threads,
    interThreads: config.session.interThreads,
  };
  const chosen = options.instances ?? count;
  return {
    open,
    threads,
    cpuCount: chosen ?? defaultInstanceCount(config.settings.role, options.budget, threads),
    countPerGpu: chosen ?? 1,
    gpus: gpus.length > 0 ? gpus : [0],
    providerReason: missing,
  };
}

function askedProvider(
  { config, configPath }: ModelVersion,
  provider: PlanOptions['provider'],
): PlanOptions['provider'] {
  const { kind } = config.instanceGroup;
  const fromKind = { auto: 'auto', gpu: 'cuda', cpu: 'cpu' } as const;
  if (kind === 'auto' || provider === 'auto') return kind === 'auto' ? provider : fromKind[kind];
  if (fromKind[kind] === provider) return provider;
  throw new ModelConfigError({
    file: configPath,
    field: 'instance_group.kind',
    problem: `KIND_${kind.toUpperCase()} contradicts the provider ${provider} that was asked for`,
    remedy: 'Set KIND_AUTO, or ask for provider auto',
  });
}
