import type { ServedModel } from '@glyphmill/contract/result';
import type { BatchEvent, ItemEvent } from './batch-event.ts';
import type { CpuGate } from './cpu-gate.ts';
import { Instance } from './instance.ts';
import type { ReadyMessage } from './instance-messages.ts';
import type { Limits } from './limits.ts';
import type { Logger } from './logger.ts';
import type { ModelPlan } from './model-plan.ts';
import type { ModelVersion } from './repository.ts';
import { Scheduler } from './scheduler.ts';

export interface OpenServedOptions<Output> {
  version: ModelVersion;
  plan: ModelPlan;
  gate: CpuGate;
  limits: Limits;
  log: Logger;
  onBatch: (event: BatchEvent) => void;
  onItem: (event: ItemEvent) => void;
  parseOutput: (output: unknown) => Output;
  /** Aborting ends the instances that are coming up. */
  signal: AbortSignal;
}

/** One model version with its instances up. */
export interface ServedVersion<Output> {
  version: ModelVersion;
  model: ServedModel;
  labels: number;
  scheduler: Scheduler<Output>;
}

/** Opens every instance of a model version, or none: the first failure ends those that are up and is thrown. */
export async function openServed<Output>(options: OpenServedOptions<Output>): Promise<ServedVersion<Output>> {
  const { version, plan, gate, limits, log, onBatch, onItem, parseOutput, signal } = options;
  const { config } = version;
  const instances: Instance[] = [];
  const start = (provider: 'auto' | 'cpu' | 'cuda', gpu: number): Promise<ReadyMessage> => {
    signal.throwIfAborted();
    const open = { ...plan.open, provider, gpu };
    const instance = new Instance({ instance: instances.length, open, model: config.name, limits, log });
    instances.push(instance);
    return instance.open();
  };
  const stop = () => {
    for (const instance of instances) void instance.close();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const { provider, ready } = await startAll(plan, start);
    const model: ServedModel = {
      role: config.settings.role,
      name: config.name,
      version: String(version.version),
      sha256: version.sha256,
      provider,
    };
    const reason = ready.providerReason ?? plan.providerReason;
    log.info(
      {
        model: model.name,
        version: model.version,
        provider,
        count: instances.length,
        ...(reason && { reason }),
      },
      'model ready',
    );
    const batching = {
      ...config.batching,
      maxBatchSize: config.maxBatchSize,
      instances: instances.length,
      bucketing: true,
    };
    const onCpu = provider === 'cpu' ? { gate, threads: plan.threads } : undefined;
    const scheduler = new Scheduler<Output>({
      model,
      batching,
      instances,
      gate: onCpu,
      limits,
      parseOutput,
      onBatch,
      onItem,
    });
    return { version, model, labels: ready.labels, scheduler };
  } catch (error) {
    await Promise.all(instances.map((instance) => instance.close()));
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Where the provider is open, the first instance decides it for all, restarted ones included. */
async function startAll(
  plan: ModelPlan,
  start: (provider: 'auto' | 'cpu' | 'cuda', gpu: number) => Promise<ReadyMessage>,
): Promise<{ provider: 'cpu' | 'cuda'; ready: ReadyMessage }> {
  if (plan.open.provider === 'auto') {
    const ready = await start('auto', plan.open.gpu);
    await startRest(plan, ready.provider, start, 1);
    return { provider: ready.provider, ready };
  }
  const { provider } = plan.open;
  const [ready] = await startRest(plan, provider, start, 0);
  if (!ready) throw new Error('expected at least one instance');
  return { provider, ready };
}

async function startRest(
  plan: ModelPlan,
  provider: 'cpu' | 'cuda',
  start: (provider: 'cpu' | 'cuda', gpu: number) => Promise<ReadyMessage>,
  skip: number,
): Promise<ReadyMessage[]> {
  const gpus =
    provider === 'cpu'
      ? Array.from({ length: plan.cpuCount }, () => plan.open.gpu)
      : plan.gpus.flatMap((gpu) => Array.from({ length: plan.countPerGpu }, () => gpu));
  return Promise.all(gpus.slice(skip).map((gpu) => start(provider, gpu)));
}
