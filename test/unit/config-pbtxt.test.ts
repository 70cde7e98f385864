import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultWidthLadder } from '@glyphmill/core/widths';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { ModelConfigError } from '@glyphmill/inference/model-config-error';
import fc from 'fast-check';

const minimal = `name: "rec"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [3, 48, -1] }
output { name: "y" data_type: TYPE_FP32 dims: [-1, 6625] label_filename: "keys.txt" }
parameters { key: "role" value { string_value: "recognize" } }
`;
const file = '/models/rec/config.pbtxt';
const parse = (text: string) => parseModelConfig(text, file);
const parameter = (key: string, value: string) =>
  `parameters: { key: "${key}", value: { string_value: "${value}" } }\n`;

describe('a config.pbtxt', () => {
  it('needs little: name, batch size, input, output and role', () => {
    const config = parse(minimal);
    assert.deepEqual(config.settings, {
      role: 'recognize',
      colorOrder: 'BGR',
      mean: 0.5,
      std: 0.5,
      height: 48,
      widthLadder: defaultWidthLadder,
      resize: 'pad',
      decoding: 'ctc',
      characterThreshold: 0,
      restoresSpaces: true,
      classes: undefined,
    });
    assert.deepEqual(config.inferred, { role: false, labels: false });
    assert.equal(config.maxBatchSize, 8);
    assert.equal(config.modelFilename, 'model.onnx');
    assert.deepEqual(config.instanceGroup, { kind: 'auto', count: undefined, gpus: [] });
    assert.deepEqual(config.versionPolicy, { kind: 'latest', count: 1 });
    assert.equal(config.batching.maxQueueDelayUs, 0);
  });

  it('means here what it means in Triton', () => {
    const config = parse(`${minimal}
      # comments, commas, semicolons and both list forms are part of the format
      platform: "onnxruntime_onnx"; backend: 'onnxruntime'
      default_model_filename: "rec" ".onnx"
      dynamic_batching {
        preferred_batch_size: [ 8, 4 ], preferred_batch_size: 4
        max_queue_delay_microseconds: 2500
        preserve_ordering: false
        priority_levels: 3 default_priority_level: 2
        default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 100000 allow_timeout_override: true max_queue_size: 64 }
        priority_queue_policy { key: 3 value { timeout_action: REJECT max_queue_size: 16 } }
      }
      instance_group [ { kind: KIND_GPU count: 2 gpus: [0, 1] } ]
      version_policy { specific { versions: [2, 4] } }
      optimization { execution_accelerators { gpu_execution_accelerator: [ { name: "cuda" } ] } }
      model_warmup { name: "wide" batch_size: 8 count: 2 inputs { key: "x" value { data_type: TYPE_FP32 dims: [3, 48, 640] zero_data: true } } }
      ${parameter('intra_op_thread_count', '4')}${parameter('width_ladder', '320, 640')}`);
    assert.equal(config.modelFilename, 'rec.onnx');
    assert.deepEqual(config.batching, {
      preferredBatchSizes: [4, 8],
      maxQueueDelayUs: 2500,
      priorityLevels: 3,
      defaultPriorityLevel: 2,
      defaultQueuePolicy: {
        timeoutAction: 'delay',
        defaultTimeoutUs: 100_000,
        allowTimeoutOverride: true,
        maxQueueSize: 64,
      },
      priorityQueuePolicies: new Map([
        [3, { timeoutAction: 'reject', defaultTimeoutUs: 0, allowTimeoutOverride: false, maxQueueSize: 16 }],
      ]),
    });
    assert.deepEqual(config.instanceGroup, { kind: 'gpu', count: 2, gpus: [0, 1] });
    assert.deepEqual(config.versionPolicy, { kind: 'specific', versions: [2, 4] });
    assert.deepEqual(config.warmups, [{ batchSize: 8, dims: [3, 48, 640], count: 2 }]);
    assert.equal(config.session.intraThreads, 4);
    assert.deepEqual(config.settings.role === 'recognize' && config.settings.widthLadder, [320, 640]);
  });

  it('takes a recogniser of another height and a fixed width', () => {
    const { settings } = parse(minimal.replace('[3, 48, -1]', '[3, 64, 256]'));
    assert.ok(settings.role === 'recognize');
    assert.equal(settings.height, 64);
    assert.deepEqual(settings.widthLadder, [256]);
    assert.equal(settings.resize, 'stretch');
    assert.equal(settings.restoresSpaces, false);
  });

  it('says how lines are resized and read', () => {
    const read = (text: string) => {
      const { settings } = parse(text);
      assert.ok(settings.role === 'recognize');
      return settings;
    };
    const padded = read(minimal.replace('-1] }\noutput', '320] }\noutput') + parameter('resize', 'pad'));
    assert.deepEqual([padded.resize, padded.restoresSpaces], ['pad', true]);
    const stretched = read(minimal + parameter('width_ladder', '320') + parameter('resize', 'stretch'));
    assert.deepEqual(
      [stretched.widthLadder, stretched.resize, stretched.restoresSpaces],
      [[320], 'stretch', false],
    );
    const steps = read(minimal + parameter('decoding', 'steps') + parameter('character_threshold', '0.5'));
    assert.deepEqual([steps.decoding, steps.characterThreshold, steps.restoresSpaces], ['steps', 0.5, false]);
  });

  const anyOutput = (output: string, size = 8) => `name: "m" max_batch_size: ${size}
    input { name: "x" data_type: TYPE_FP32 dims: [${size === 0 ? '1, ' : ''}3, -1, -1] }\n${output}\n`;
  const roles: [what: string, text: string, role: 'detect' | 'recognize'][] = [
    ['classes of steps', minimal.replace(/parameters.*/, ''), 'recognize'],
    ['a map', anyOutput('output { name: "y" data_type: TYPE_FP32 dims: [1, -1, -1] }'), 'detect'],
    [
      'a map and its batch',
      anyOutput('output { name: "y" data_type: TYPE_FP32 dims: [1, 1, -1, -1] }', 0),
      'detect',
    ],
    [
      'best classes and scores',
      anyOutput(`output { name: "i" data_type: TYPE_INT32 dims: [-1] label_filename: "k" }
        output { name: "s" data_type: TYPE_FP32 dims: [-1] } ${parameter('height', '48')}${parameter('classes', '9')}`),
      'recognize',
    ],
  ];
  for (const [what, text, role] of roles)
    it(`that names no role is a model to ${role} where it gives ${what}`, () => {
      const config = parse(text);
      assert.equal(config.settings.role, role);
      assert.deepEqual(config.inferred, { role: true, labels: false });
    });

  it('that names no dictionary has the known one where there are 6625 classes', () => {
    const { inferred, output } = parse(minimal.replace(/ label_filename: "keys.txt"/, ''));
    assert.deepEqual(inferred, { role: false, labels: true });
    assert.equal(output.labelFilename, undefined);
  });

  const pair = minimal
    .replace('output {', 'output { name: "best" data_type: TYPE_INT32 dims: [-1] }\noutput {')
    .replace('[-1, 6625]', '[-1]');

  it('takes a recogniser whose graph takes the best classes itself', () => {
    const config = parse(pair + parameter('classes', '6625'));
    assert.deepEqual(config.indices, { name: 'best', dims: [-1] });
    assert.deepEqual(config.output, { name: 'y', dims: [-1], labelFilename: 'keys.txt' });
    assert.equal(config.settings.role === 'recognize' && config.settings.classes, 6625);
    assert.equal(parse(minimal).indices, undefined);
  });

  it('takes a detector and its settings', () => {
    const { settings } = parse(`name: "det" max_batch_size: 1
      input { name: "x" data_type: TYPE_FP32 dims: [3, -1, -1] }
      output { name: "y" data_type: TYPE_FP32 dims: [1, -1, -1] }
      ${parameter('role', 'detect')}${parameter('max_side', '1280')}${parameter('unclip_ratio', '2')}`);
    assert.deepEqual(settings, {
      role: 'detect',
      maxSide: 1280,
      threshold: 0.3,
      boxThreshold: 0.6,
      unclipRatio: 2,
      minSide: 3,
    });
  });

  const without = (pattern: RegExp) => minimal.replace(pattern, '');
  const mistakes: [what: string, text: string, field: string, remedy: RegExp][] = [
    ['a misspelt field', `${minimal}max_batchsize: 4`, 'max_batchsize', /spelling/],
    ['a misspelt nested field', `${minimal}dynamic_batching { delay: 1 }`, 'delay', /spelling/],
    ['sequences', `${minimal}sequence_batching { }`, 'sequence_batching', /dynamic_batching/],
    ['ensembles', `${minimal}ensemble_scheduling { step [] }`, 'ensemble_scheduling', /two models/],
    [
      'kept order',
      `${minimal}dynamic_batching { preserve_ordering: true }`,
      'dynamic_batching.preserve_ordering',
      /Remove/,
    ],
    ['a rate limiter', `${minimal}instance_group { rate_limiter { } }`, 'rate_limiter', /count/],
    ['CUDA graphs', `${minimal}optimization { cuda { graphs: true } }`, 'cuda', /Remove/],
    [
      'ragged batches',
      minimal.replace('dims: [3', 'allow_ragged_batch: true dims: [3'),
      'allow_ragged_batch',
      /shape/,
    ],
    ['reshaping', minimal.replace('dims: [3', 'reshape { shape: [3] } dims: [3'), 'input.reshape', /dims/],
    ['another backend', `${minimal}platform: "tensorrt_plan"`, 'platform', /onnxruntime_onnx/],
    [
      'TensorRT',
      `${minimal}optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } } }`,
      'optimization.execution_accelerators.gpu_execution_accelerator.name',
      /cuda/,
    ],
    [
      'options that cannot reach CUDA',
      `${minimal}optimization { execution_accelerators { gpu_execution_accelerator { name: "cuda" parameters { key: "arena" value: "1" } } } }`,
      'optimization.execution_accelerators.gpu_execution_accelerator.parameters.arena',
      /Remove/,
    ],
    ['no name', without(/name: "rec"/), 'name', /directory/],
    ['no input', without(/input .*/), 'input', /image/],
    [
      'an image without three channels',
      minimal.replace('[3, 48', '[1, 48'),
      'input.dims',
      /\[3, height, width\]/,
    ],
    [
      'no batch dimension where none is batched',
      minimal.replace('size: 8', 'size: 0'),
      'input.dims',
      /1 before/,
    ],
    ['half precision', minimal.replace('TYPE_FP32', 'TYPE_FP16'), 'input.data_type', /TYPE_FP32/],
    [
      'a recogniser without labels',
      without(/label_filename: "keys.txt"/).replace('6625', '97'),
      'output.label_filename',
      /Name the dictionary/,
    ],
    [
      'a recogniser without labels whose classes are open',
      without(/label_filename: "keys.txt"/).replace('6625', '-1'),
      'output.label_filename',
      /Name the dictionary/,
    ],
    [
      'stretching to many widths',
      minimal + parameter('resize', 'stretch'),
      'parameters.resize',
      /the one width/,
    ],
    [
      'spaces between steps',
      minimal + parameter('decoding', 'steps') + parameter('restore_spaces', '1'),
      'parameters.restore_spaces',
      /decoding to ctc/,
    ],
    ['best classes without their number', pair, 'parameters.classes', /number of classes/],
    [
      'a number of classes that the output gives',
      minimal + parameter('classes', '6625'),
      'parameters.classes',
      /Remove it/,
    ],
    [
      'best classes without scores',
      minimal.replace('TYPE_FP32 dims: [-1', 'TYPE_INT32 dims: [-1'),
      'output',
      /scores/,
    ],
    [
      'labels outside the model',
      minimal.replace('keys.txt', '../keys.txt'),
      'output.label_filename',
      /without a path/,
    ],
    [
      'a preferred size above the largest',
      `${minimal}dynamic_batching { preferred_batch_size: 9 }`,
      'dynamic_batching.preferred_batch_size',
      /max_batch_size 8/,
    ],
    [
      'a level that is not there',
      `${minimal}dynamic_batching { priority_levels: 2 default_priority_level: 3 }`,
      'dynamic_batching.default_priority_level',
      /1 to 2/,
    ],
    [
      'GPUs for a CPU group',
      `${minimal}instance_group { kind: KIND_CPU gpus: 0 }`,
      'instance_group.gpus',
      /KIND_GPU/,
    ],
    ['an unknown parameter', minimal + parameter('widths', '320'), 'parameters.widths', /width_ladder/],
    [
      'a parameter of the other role',
      minimal + parameter('threshold', '0.2'),
      'parameters.threshold',
      /Known/,
    ],
    [
      'a parameter given twice',
      minimal + parameter('mean', '0.5') + parameter('mean', '0.4'),
      'parameters.mean',
      /Keep one/,
    ],
    ['a parameter out of range', minimal + parameter('std', '0'), 'parameters.std', /1e-?|0\.000001/],
    [
      'widths that do not ascend',
      minimal + parameter('width_ladder', '640,320'),
      'parameters.width_ladder',
      /ascending/,
    ],
    ['another height than the model has', minimal + parameter('height', '32'), 'parameters.height', /48/],
    [
      'no role where the output tells none',
      without(/parameters.*/).replace('[-1, 6625]', '[2, 40, 6625]'),
      'parameters.role',
      /detect or recognize/,
    ],
    [
      'an unknown enum value',
      `${minimal}instance_group { kind: KIND_TPU }`,
      'InstanceGroup.kind',
      /text format/,
    ],
    [
      'text where a number belongs',
      minimal.replace('max_batch_size: 8', 'max_batch_size: "8"'),
      'syntax',
      /text format/,
    ],
    ['a field given twice', `${minimal}name: "other"`, 'name', /text format/],
  ];
  it('is refused TensorRT and options of CUDA for the reason that there is', () => {
    const accelerator = (text: string) =>
      `${minimal}optimization { execution_accelerators { gpu_execution_accelerator { ${text} } } }`;
    const reason = { problem: /the Node binding.*passes (it|CUDA) a device and nothing else/ };
    assert.throws(
      () => parse(accelerator('name: "tensorrt" parameters { key: "precision_mode" value: "FP16" }')),
      reason,
    );
    assert.throws(
      () => parse(accelerator('name: "cuda" parameters { key: "gpu_mem_limit" value: "1" }')),
      reason,
    );
  });

  for (const [what, text, field, remedy] of mistakes)
    it(`is refused for ${what}, naming file, field and remedy`, () => {
      assert.throws(
        () => parse(text),
        (error: unknown) => {
          assert.ok(error instanceof ModelConfigError, String(error));
          assert.equal(error.file, file);
          assert.equal(error.field, field);
          assert.match(error.remedy, remedy);
          assert.ok(error.message.startsWith(`${file}: ${field}: `), error.message);
          return true;
        },
      );
    });

  it('is either understood or refused with a ModelConfigError, whatever is in the file', () => {
    const cut = fc.tuple(fc.nat(minimal.length), fc.nat(minimal.length), fc.string({ maxLength: 12 }));
    fc.assert(
      fc.property(cut, ([from, to, inserted]) => {
        try {
          parse(minimal.slice(0, from) + inserted + minimal.slice(to));
        } catch (error) {
          assert.ok(error instanceof ModelConfigError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});
