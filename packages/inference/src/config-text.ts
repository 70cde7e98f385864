import { readFileSync } from 'node:fs';
import { parse, type Type } from 'protobufjs';
import textformat from 'protobufjs/ext/textformat.js';
import { z } from 'zod';
import { ModelConfigError } from './model-config-error.ts';
import { refusedFields } from './refused-fields.ts';

const numbers = z.array(z.number());
const reshapeSchema = z.object({ shape: numbers }).nullish();
const queuePolicySchema = z.object({
  timeout_action: z.enum(['REJECT', 'DELAY']),
  default_timeout_microseconds: z.number(),
  allow_timeout_override: z.boolean(),
  max_queue_size: z.number(),
});
const acceleratorSchema = z.object({
  name: z.string(),
  parameters: z.array(z.object({ key: z.string(), value: z.string() })),
});

/** config.pbtxt as it is written: proto3 defaults filled in, nothing judged yet. */
const configTextSchema = z.object({
  name: z.string(),
  platform: z.string(),
  backend: z.string(),
  max_batch_size: z.number(),
  input: z.array(
    z.object({
      name: z.string(),
      data_type: z.string(),
      format: z.string(),
      dims: numbers,
      reshape: reshapeSchema,
    }),
  ),
  output: z.array(
    z.object({
      name: z.string(),
      data_type: z.string(),
      dims: numbers,
      reshape: reshapeSchema,
      label_filename: z.string(),
    }),
  ),
  dynamic_batching: z
    .object({
      preferred_batch_size: numbers,
      max_queue_delay_microseconds: z.number(),
      preserve_ordering: z.boolean(),
      priority_levels: z.number(),
      default_priority_level: z.number(),
      default_queue_policy: queuePolicySchema.nullish(),
      priority_queue_policy: z.array(z.object({ key: z.number(), value: queuePolicySchema })),
    })
    .nullish(),
  instance_group: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['KIND_AUTO', 'KIND_GPU', 'KIND_CPU', 'KIND_MODEL']),
      count: z.number(),
      gpus: numbers,
    }),
  ),
  version_policy: z
    .object({
      latest: z.object({ num_versions: z.number() }).optional(),
      all: z.object({}).optional(),
      specific: z.object({ versions: numbers }).optional(),
    })
    .nullish(),
  default_model_filename: z.string(),
  parameters: z.array(
    z.object({ key: z.string(), value: z.object({ string_value: z.string() }).nullable() }),
  ),
  optimization: z
    .object({
      execution_accelerators: z
        .object({
          gpu_execution_accelerator: z.array(acceleratorSchema),
          cpu_execution_accelerator: z.array(acceleratorSchema),
        })
        .nullish(),
    })
    .nullish(),
  model_warmup: z.array(
    z.object({
      name: z.string(),
      batch_size: z.number(),
      inputs: z.array(
        z.object({
          key: z.string(),
          value: z.object({ data_type: z.string(), dims: numbers }).nullable(),
        }),
      ),
      count: z.number(),
    }),
  ),
});
export type ConfigText = z.infer<typeof configTextSchema>;
export type QueuePolicyText = z.infer<typeof queuePolicySchema>;

/** Reads protobuf text format; throws a `ModelConfigError` that names the field where it can. */
export function readConfigText(text: string, file: string): ConfigText {
  const type = modelConfigType();
  let message: ReturnType<typeof textformat.fromText>;
  try {
    message = textformat.fromText(type, text);
  } catch (error) {
    throw syntaxError(file, error);
  }
  const plain = type.toObject(message, { longs: Number, enums: String, defaults: true });
  const parsed = configTextSchema.safeParse(plain);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ModelConfigError({
    file,
    field: issue?.path.join('.') ?? 'config.pbtxt',
    problem: issue?.message ?? 'not a model config',
    remedy: 'Give the field a value',
  });
}

let cachedType: Type | undefined;
function modelConfigType(): Type {
  cachedType ??= parse(readFileSync(new URL('./model_config.proto', import.meta.url), 'utf8'), {
    keepCase: true,
  }).root.lookupType('glyphmill.ModelConfig');
  return cachedType;
}

function syntaxError(file: string, error: unknown): ModelConfigError {
  const message = (error instanceof Error ? error.message : String(error)).replace(/^\.?glyphmill\./, '');
  const unknown = /^(?<type>\w+): unknown field '(?<name>[^']*)' \(line (?<line>\d+)\)/.exec(message)?.groups;
  if (!unknown) {
    const field = /^(?:ModelConfig\.)?(?<path>[\w.]+):/.exec(message)?.groups?.path ?? 'syntax';
    const remedy = "Write the file in protobuf text format, as Triton's config.pbtxt";
    return new ModelConfigError({ file, field, problem: message, remedy }, { cause: error });
  }
  const { type, name = '', line } = unknown;
  const reason = refusedFields.get(name);
  return new ModelConfigError({
    file,
    field: name,
    problem: `line ${line}: ${reason ? 'Glyphmill does not support this field' : 'there is no such field'} in ${type}`,
    remedy: reason ?? 'Check the spelling, or remove the field',
  });
}
