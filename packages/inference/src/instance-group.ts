import type { ConfigText } from './config-text.ts';
import type { Refuse } from './model-config-error.ts';

export interface InstanceGroup {
  kind: 'auto' | 'gpu' | 'cpu';
  /** undefined: decided by the rule in threads.ts. Per listed GPU for kind gpu. */
  count: number | undefined;
  gpus: readonly number[];
}

/** The instance group of a config and what its accelerators say of it. */
export function readInstanceGroup(raw: ConfigText, refuse: Refuse): InstanceGroup {
  const [group, ...others] = raw.instance_group;
  const twice = others.find(
    ({ name }, i) => name !== '' && raw.instance_group.findIndex((g) => g.name === name) <= i,
  );
  if (twice)
    refuse('instance_group.name', `"${twice.name}" is given twice`, 'Keep one group, with the count of both');
  if (others.length > 0)
    refuse(
      'instance_group',
      `expected one at most, found ${raw.instance_group.length}`,
      'Merge them into one group',
    );
  const kind = readKind(group?.kind ?? 'KIND_AUTO', raw, refuse);
  const count = group?.count ?? 0;
  if (count < 0 || count > 256)
    refuse('instance_group.count', `${count} does not fit`, 'Set it to 1 to 256, or leave it out');
  const gpus = group?.gpus ?? [];
  if (kind === 'cpu' && gpus.length > 0)
    refuse('instance_group.gpus', 'kind is KIND_CPU', 'Remove gpus, or set KIND_GPU');
  const wrong = gpus.find((gpu, i) => gpu < 0 || gpu > 255 || gpus.indexOf(gpu) !== i);
  if (wrong !== undefined)
    refuse('instance_group.gpus', `${wrong} does not fit`, 'Give each GPU index, from 0 on, once');
  return { kind, count: count === 0 ? undefined : count, gpus };
}

function readKind(kind: string, raw: ConfigText, refuse: Refuse): InstanceGroup['kind'] {
  const accelerators = raw.optimization?.execution_accelerators;
  const [onCpu] = accelerators?.cpu_execution_accelerator ?? [];
  const field = 'optimization.execution_accelerators';
  if (onCpu) refuse(`${field}.cpu_execution_accelerator`, `"${onCpu.name}" is not offered`, 'Remove it');
  const onGpu = accelerators?.gpu_execution_accelerator ?? [];
  for (const { name, parameters } of onGpu) {
    if (name === 'tensorrt')
      refuse(
        `${field}.gpu_execution_accelerator.name`,
        '"tensorrt" is not offered: the Node binding passes it a device and nothing else, so that its engines could not be kept and every start would build them anew',
        'Use "cuda", or remove it',
      );
    if (name !== 'cuda')
      refuse(
        `${field}.gpu_execution_accelerator.name`,
        `"${name}" is not offered`,
        'Use "cuda", or remove it',
      );
    const [parameter] = parameters;
    if (parameter)
      refuse(
        `${field}.gpu_execution_accelerator.parameters.${parameter.key}`,
        'the Node binding of ONNX Runtime passes CUDA a device and nothing else, and would swallow it',
        'Remove it; the device is named in instance_group.gpus',
      );
  }
  if (kind === 'KIND_MODEL')
    refuse('instance_group.kind', 'KIND_MODEL is not offered', 'Use KIND_AUTO, KIND_GPU or KIND_CPU');
  if (onGpu.length > 0 && kind === 'KIND_CPU')
    refuse('instance_group.kind', 'KIND_CPU contradicts the cuda accelerator', 'Remove one of them');
  if (onGpu.length > 0 || kind === 'KIND_GPU') return 'gpu';
  return kind === 'KIND_CPU' ? 'cpu' : 'auto';
}
