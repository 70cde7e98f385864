import { readFileSync } from 'node:fs';
import { parse, type Type } from 'protobufjs';
import { z } from 'zod';

const bytes = z.instanceof(Uint8Array);

const tensorSchema = z.looseObject({
  dims: z.array(z.bigint()),
  data_type: z.number(),
  name: z.string().optional(),
  float_data: z.array(z.number()),
  raw_data: bytes.optional(),
  /** 1: in another file. */
  data_location: z.number().optional(),
});

const attributeSchema = z.looseObject({
  name: z.string(),
  f: z.number().optional(),
  i: z.bigint().optional(),
  s: bytes.optional(),
  t: tensorSchema.optional(),
  g: bytes.optional(),
  ints: z.array(z.bigint()),
  graphs: z.array(bytes),
});

const nodeSchema = z.looseObject({
  input: z.array(z.string()),
  output: z.array(z.string()),
  op_type: z.string(),
  domain: z.string().optional(),
  attribute: z.array(attributeSchema),
});

const dimensionSchema = z.looseObject({ dim_value: z.bigint().optional(), dim_param: z.string().optional() });
const valueSchema = z.looseObject({
  name: z.string(),
  type: z
    .looseObject({
      tensor_type: z
        .looseObject({
          elem_type: z.number().optional(),
          shape: z.looseObject({ dim: z.array(dimensionSchema) }).optional(),
        })
        .optional(),
    })
    .optional(),
});

const graphSchema = z.looseObject({
  node: z.array(nodeSchema),
  initializer: z.array(tensorSchema),
  input: z.array(valueSchema),
  output: z.array(valueSchema),
  value_info: z.array(valueSchema),
});

const modelSchema = z.looseObject({
  ir_version: z.bigint(),
  graph: graphSchema,
  opset_import: z.array(z.looseObject({ domain: z.string().optional(), version: z.bigint() })),
});

export type OnnxModel = z.infer<typeof modelSchema>;
export type OnnxGraph = z.infer<typeof graphSchema>;
export type OnnxNode = z.infer<typeof nodeSchema>;
export type OnnxAttribute = z.infer<typeof attributeSchema>;
export type OnnxTensor = z.infer<typeof tensorSchema>;
export type OnnxValue = z.infer<typeof valueSchema>;

/** Reads a model file; fields that nobody here looks at are kept. Throws an `Error` where it is no ONNX model. */
export function decodeModel(model: Uint8Array): OnnxModel {
  const type = onnxType('Model');
  let plain: unknown;
  try {
    plain = type.toObject(type.decode(model), { longs: BigInt, arrays: true });
  } catch (error) {
    throw new Error(`expected an ONNX model, found ${model.length} other bytes`, { cause: error });
  }
  const parsed = modelSchema.safeParse(plain);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`expected an ONNX model: ${issue?.path.join('.')}: ${issue?.message}`);
}

/** The file of a model; the same model gives the same bytes. */
export function encodeModel(model: OnnxModel): Uint8Array {
  const type = onnxType('Model');
  return type.encode(type.fromObject(model)).finish();
}

/** The graphs that a node carries: bodies of loops, branches of conditions. */
export function subgraphs(node: OnnxNode): OnnxGraph[] {
  const type = onnxType('Graph');
  return node.attribute
    .flatMap(({ g, graphs }) => (g ? [g, ...graphs] : graphs))
    .map((graph) => graphSchema.parse(type.toObject(type.decode(graph), { longs: BigInt, arrays: true })));
}

/** The version of the operators without a domain, which is ONNX's own. */
export function opsetOf(model: OnnxModel): number {
  const own = model.opset_import.find(({ domain }) => domain === undefined || isOnnxDomain(domain));
  return Number(own?.version ?? 0n);
}

export function isOnnxDomain(domain: string | undefined): boolean {
  return domain === undefined || domain === '' || domain === 'ai.onnx';
}

const cachedTypes = new Map<string, Type>();
function onnxType(name: 'Model' | 'Graph'): Type {
  const cached = cachedTypes.get(name);
  if (cached) return cached;
  const source = readFileSync(new URL('./onnx.proto', import.meta.url), 'utf8');
  const type = parse(source, { keepCase: true }).root.lookupType(`glyphmill.onnx.${name}`);
  cachedTypes.set(name, type);
  return type;
}
