import type { BatcherOptions, QueuePolicy } from '@glyphmill/core/batch-options';
import type { ConfigText, QueuePolicyText } from './config-text.ts';
import { readConfigText } from './config-text.ts';
import { type InstanceGroup, readInstanceGroup } from './instance-group.ts';
import { type Refuse, refuser } from './model-config-error.ts';
import { type ModelOutputs, readOutputs, roleByOutputs } from './model-outputs.ts';
import { type Parameters, readParameters } from './model-parameters.ts';
import { plainName } from './plain-name.ts';

/** What dynamic_batching says. */
export type DynamicBatching = Omit<BatcherOptions, 'maxBatchSize' | 'instances' | 'bucketing'>;

export type VersionPolicy =
  | { kind: 'latest'; count: number }
  | { kind: 'all' }
  | { kind: 'specific'; versions: readonly number[] };

export interface Warmup {
  batchSize: number;
  /** [channels, height, width] of one item. */
  dims: readonly number[];
  count: number;
}

/** One model's config.pbtxt, checked and in our own words. */
export interface ModelConfig extends Parameters, ModelOutputs {
  name: string;
  /** What the file does not say and was told from its outputs: the parameter `role`, the name of the dictionary. */
  inferred: { role: boolean; labels: boolean };
  /** 0: the model has no batch dimension of its own choosing; items run one by one. */
  maxBatchSize: number;
  input: { name: string; dims: readonly number[] };
  batching: DynamicBatching;
  instanceGroup: InstanceGroup;
  versionPolicy: VersionPolicy;
  modelFilename: string;
  warmups: readonly Warmup[];
}

const maxBatchSizeLimit = 1024;

/**
 * Parses Triton's config.pbtxt (https://github.com/triton-inference-server/common, model_config.proto),
 * the part of it that Glyphmill offers. Throws `ModelConfigError` for anything else in the file.
 */
export function parseModelConfig(text: string, file: string): ModelConfig {
  const raw = readConfigText(text, file);
  const refuse = refuser(file);
  if (raw.name === '') refuse('name', 'it is missing', "Set it to the name of the model's directory");
  checkBackend(raw, refuse);
  if (raw.max_batch_size < 0 || raw.max_batch_size > maxBatchSizeLimit)
    refuse('max_batch_size', `${raw.max_batch_size} does not fit`, `Set it to 0 to ${maxBatchSizeLimit}`);
  const input = readInput(raw, refuse);
  const itemDims = raw.max_batch_size === 0 ? input.dims.slice(1) : input.dims;
  const parameters = readParameters(file, raw.parameters, { itemDims, role: roleByOutputs(raw) });
  const outputs = readOutputs(raw, parameters.settings, refuse);
  return {
    ...parameters,
    name: raw.name,
    inferred: {
      role: raw.parameters.every(({ key }) => key !== 'role'),
      labels: parameters.settings.role === 'recognize' && outputs.output.labelFilename === undefined,
    },
    maxBatchSize: raw.max_batch_size,
    input,
    ...outputs,
    batching: readBatching(raw, refuse),
    instanceGroup: readInstanceGroup(raw, refuse),
    versionPolicy: readVersionPolicy(raw, refuse),
    modelFilename: plainName(raw.default_model_filename || 'model.onnx', 'default_model_filename', refuse),
    warmups: readWarmups(raw, refuse),
  };
}

function checkBackend(raw: ConfigText, refuse: Refuse): void {
  if (raw.platform !== '' && raw.platform !== 'onnxruntime_onnx')
    refuse('platform', `"${raw.platform}" is not run here`, 'Set platform: "onnxruntime_onnx"');
  if (raw.backend !== '' && raw.backend !== 'onnxruntime')
    refuse('backend', `"${raw.backend}" is not run here`, 'Set backend: "onnxruntime"');
}

function readInput(raw: ConfigText, refuse: Refuse): ModelConfig['input'] {
  const [input, ...others] = raw.input;
  if (!input || others.length > 0)
    return refuse('input', `expected one, found ${raw.input.length}`, 'Name the one image input');
  if (input.data_type !== 'TYPE_FP32')
    refuse('input.data_type', `${input.data_type} is not fed`, 'Set TYPE_FP32');
  if (input.format === 'FORMAT_NHWC')
    refuse('input.format', 'FORMAT_NHWC is not packed', 'Use a model with channels first');
  if (input.reshape)
    refuse('input.reshape', 'Glyphmill does not support this field', 'Give the dims of the model itself');
  const dims = raw.max_batch_size === 0 ? input.dims.slice(1) : input.dims;
  const isImage = dims.length === 3 && dims[0] === 3 && dims.every((dim) => dim === -1 || dim > 0);
  if (!isImage || (raw.max_batch_size === 0 && input.dims[0] !== 1))
    refuse(
      'input.dims',
      `[${input.dims.join(', ')}] does not fit max_batch_size ${raw.max_batch_size}`,
      'Give [3, height, width], with a 1 before it where max_batch_size is 0; -1 where a side is open',
    );
  return { name: input.name, dims: input.dims };
}

function readBatching(raw: ConfigText, refuse: Refuse): DynamicBatching {
  const batching = raw.dynamic_batching;
  if (batching?.preserve_ordering)
    refuse(
      'dynamic_batching.preserve_ordering',
      'Glyphmill does not support this field',
      'Remove it: each answer finds its own request',
    );
  const preferred = batching?.preferred_batch_size ?? [];
  const outside = preferred.find((size) => size < 1 || size > Math.max(1, raw.max_batch_size));
  if (outside !== undefined)
    refuse(
      'dynamic_batching.preferred_batch_size',
      `${outside} does not fit`,
      `Give sizes from 1 to max_batch_size ${raw.max_batch_size}`,
    );
  const levels = batching?.priority_levels ?? 0;
  const level = batching?.default_priority_level ?? 0;
  if (levels > 0 && (level < 1 || level > levels))
    refuse('dynamic_batching.default_priority_level', `${level} is no level`, `Set it to 1 to ${levels}`);
  const policies = new Map<number, QueuePolicy>();
  for (const { key, value } of batching?.priority_queue_policy ?? []) {
    if (key < 1 || key > levels || policies.has(key))
      refuse(
        'dynamic_batching.priority_queue_policy',
        `key ${key} does not fit`,
        `Give each level from 1 to ${levels} once at most`,
      );
    policies.set(key, toPolicy(value));
  }
  return {
    preferredBatchSizes: [...new Set(preferred)].sort((a, b) => a - b),
    maxQueueDelayUs: batching?.max_queue_delay_microseconds ?? 0,
    priorityLevels: levels,
    defaultPriorityLevel: level,
    defaultQueuePolicy: toPolicy(batching?.default_queue_policy),
    priorityQueuePolicies: policies,
  };
}

function toPolicy(policy: QueuePolicyText | null | undefined): QueuePolicy {
  return {
    timeoutAction: policy?.timeout_action === 'DELAY' ? 'delay' : 'reject',
    defaultTimeoutUs: policy?.default_timeout_microseconds ?? 0,
    allowTimeoutOverride: policy?.allow_timeout_override ?? false,
    maxQueueSize: policy?.max_queue_size ?? 0,
  };
}

function readVersionPolicy(raw: ConfigText, refuse: Refuse): VersionPolicy {
  const policy = raw.version_policy;
  if (policy?.all) return { kind: 'all' };
  if (policy?.specific) {
    const { versions } = policy.specific;
    if (versions.length === 0 || versions.some((version) => version < 1))
      refuse(
        'version_policy.specific.versions',
        'expected version numbers from 1 on',
        'Name the versions to serve',
      );
    return { kind: 'specific', versions };
  }
  return { kind: 'latest', count: Math.max(1, policy?.latest?.num_versions ?? 1) };
}

function readWarmups(raw: ConfigText, refuse: Refuse): Warmup[] {
  return raw.model_warmup.map((warmup) => {
    const [input] = warmup.inputs;
    const dims = input?.value?.dims ?? [];
    if (warmup.inputs.length !== 1 || dims.length !== 3 || dims.some((dim) => dim < 1))
      refuse(
        'model_warmup.inputs',
        `warm-up "${warmup.name}" has no whole shape`,
        'Give the one input with dims [3, height, width]',
      );
    return { batchSize: Math.max(1, warmup.batch_size), dims, count: Math.max(1, warmup.count) };
  });
}
