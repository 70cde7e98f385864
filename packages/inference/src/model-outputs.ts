import type { ConfigText } from './config-text.ts';
import { knownDictionary } from './model-assets.ts';
import type { Refuse } from './model-config-error.ts';
import type { DetectSettings, RecognizeSettings } from './model-parameters.ts';
import { plainName } from './plain-name.ts';

export interface ModelOutputs {
  /** Of float32: a detector's map, a recogniser's score of every class, or of the best one alone. */
  output: { name: string; dims: readonly number[]; labelFilename: string | undefined };
  /** A recogniser's best class of each step, where its graph takes it: the other output of the two. */
  indices: { name: string; dims: readonly number[] } | undefined;
}

/**
 * What a config without the parameter `role` must be, since Triton leaves that to its clients: one output [steps,
 * classes], or best classes [steps] and their scores, is a recogniser's; one output [1, height, width] a detector's.
 */
export function roleByOutputs({ output, max_batch_size }: ConfigText): 'detect' | 'recognize' | undefined {
  const [first, second, ...others] = output.map(({ dims }) => (max_batch_size === 0 ? dims.slice(1) : dims));
  if (!first || others.length > 0) return undefined;
  if (second) return first.length === 1 && second.length === 1 ? 'recognize' : undefined;
  if (first.length === 2) return 'recognize';
  return first.length === 3 && first[0] === 1 ? 'detect' : undefined;
}

export function readOutputs(
  raw: ConfigText,
  settings: DetectSettings | RecognizeSettings,
  refuse: Refuse,
): ModelOutputs {
  const isReading = settings.role === 'recognize';
  const indices = isReading ? raw.output.find(({ data_type }) => data_type === 'TYPE_INT32') : undefined;
  const [output, ...others] = raw.output.filter((found) => found !== indices);
  if (!output || others.length > 0)
    return refuse(
      'output',
      `expected one${isReading ? ', or indices and scores' : ''}, found ${raw.output.length}`,
      'Name the one output to read, or of a recogniser the TYPE_INT32 best classes and their TYPE_FP32 scores',
    );
  if (output.data_type !== 'TYPE_FP32')
    refuse('output.data_type', `${output.data_type} is not read`, 'Set TYPE_FP32');
  if (raw.output.some(({ reshape }) => reshape))
    refuse('output.reshape', 'Glyphmill does not support this field', 'Give the dims of the model itself');
  if (isReading && (indices === undefined) !== (settings.classes === undefined))
    refuse(
      'parameters.classes',
      indices ? 'it is missing' : 'the output has every class already',
      indices ? 'Give the number of classes, blank and space included' : 'Remove it',
    );
  const label = raw.output.map(({ label_filename }) => label_filename).find((name) => name !== '');
  if (isReading) assertDictionary(label, settings.classes ?? output.dims.at(-1), refuse);
  if (!isReading && label !== undefined)
    refuse('output.label_filename', 'a detector has no labels', 'Remove it');
  const labelFilename = label && plainName(label, 'output.label_filename', refuse);
  return {
    output: { name: output.name, dims: output.dims, labelFilename },
    indices: indices && { name: indices.name, dims: indices.dims },
  };
}

/** Triton leaves dictionaries to its clients too; by their number of classes one of them is known. */
function assertDictionary(label: string | undefined, classes = -1, refuse: Refuse): void {
  if (label !== undefined || classes === knownDictionary.classes) return;
  const found = classes > 0 ? `${classes} classes` : 'an open number of classes';
  refuse(
    'output.label_filename',
    `it is missing, and the dictionary is known for ${knownDictionary.classes} classes only, not for ${found}`,
    'Name the dictionary, one character a line, and put it beside config.pbtxt',
  );
}
