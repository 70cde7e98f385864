import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { detectionSize } from '@glyphmill/core/detection';
import { resizeLine } from '@glyphmill/core/rectify';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { openDetector } from '@glyphmill/inference/detector';
import { regionsSchema } from '@glyphmill/inference/instance-messages';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { encodeModel, type OnnxValue } from '@glyphmill/inference/onnx-model';
import {
  elementType,
  floatTensor,
  intAttribute,
  intsAttribute,
  newNode,
} from '@glyphmill/inference/onnx-tensor';
import { openRecognizer } from '@glyphmill/inference/recognizer';
import { openSession } from '@glyphmill/inference/session';
import sharp from 'sharp';
import { samplesFolder } from '../fixtures/sample-list.ts';
import { openMessage } from '../unit/graph-setup.ts';

const parameter = (key: string, value: string | number) =>
  `parameters { key: "${key}" value { string_value: "${value}" } }`;

describe('the shapes of inference calls', () => {
  let repository = '';
  before(async () => {
    repository = await mkdtemp(join(tmpdir(), 'glyphmill-shapes-'));
    await importDefaultModels(repository);
  });
  after(() => rm(repository, { recursive: true }));

  /** Opens a model on the CPU and notes the shape of every call; `change` is made to its config.pbtxt. */
  const open = async (name: string, change = (text: string) => text) => {
    const text = await readFile(join(repository, name, 'config.pbtxt'), 'utf8');
    const config = parseModelConfig(change(text), 'config.pbtxt');
    const { session } = await openSession(openMessage(join(repository, name, '1/model.onnx')), config);
    const shapes: string[] = [];
    const watched = new Proxy(session, {
      get(target, key) {
        if (key !== 'run') return Reflect.get(target, key, target);
        return (feeds: Record<string, { dims: readonly number[] }>, wanted: string[]) => {
          shapes.push(feeds[config.input.name]?.dims.join('×') ?? '');
          return Reflect.apply(target.run, target, [feeds, wanted]);
        };
      },
    });
    return { session: watched, config, shapes };
  };

  const openReading = async (provider: 'cpu' | 'cuda') => {
    const opened = await open('ppocrv4-rec', (text) =>
      [
        text.replace('max_queue_delay', 'preferred_batch_size: [4] max_queue_delay'),
        parameter('width_ladder', '64,128'),
        parameter('max_batch_pixels', 6 * 48 * 128),
      ].join('\n'),
    );
    const { settings } = opened.config;
    assert.ok(settings.role === 'recognize');
    const labelPath = join(repository, 'ppocrv4-rec/ppocr_keys_v1.txt');
    const labelText = await readFile(labelPath, 'utf8');
    return {
      ...opened,
      runner: await openRecognizer({ ...opened, settings, provider, labelText, labelPath }),
    };
  };
  const sampleLine = async (file: string, maxWidth: number) => {
    const { data, info } = await sharp(`${samplesFolder}${file}`)
      .removeAlpha()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    const page = { width: info.width, height: info.height, data };
    return resizeLine(page, { height: 48, minWidth: 1, maxWidth });
  };

  it('of lines are few on a GPU, within the cap on pixels, warmed, and give what exact ones do', async () => {
    const [onGpu, onCpu] = [await openReading('cuda'), await openReading('cpu')];
    assert.deepEqual(onCpu.shapes, ['1×3×48×64']);
    const warmed = [...onGpu.shapes];
    // Six lines of 128 pixels are as many as the cap allows.
    assert.deepEqual(warmed.slice(1), ['4×3×48×64', '8×3×48×64', '4×3×48×128', '6×3×48×128']);
    onGpu.shapes.length = 0;
    for (const width of [64, 128]) {
      const line = await sampleLine('line-short.jpg', width);
      const other = await sampleLine('line-digits.png', width);
      for (let count = 1; count <= 8; count++) {
        const lines = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? line : other));
        const { outputs } = await onGpu.runner.run(lines, width);
        assert.deepEqual(outputs, (await onCpu.runner.run(lines, width)).outputs);
      }
    }
    const fresh = onGpu.shapes.filter((shape) => !warmed.includes(shape));
    assert.deepEqual(fresh, []);
    assert.ok(onCpu.shapes.includes('3×3×48×128'), 'on a CPU nothing is padded');
  });

  it('of pages are few on a GPU, warmed, and show the same lines', async () => {
    const change = (text: string) => text.replace('"1920"', '"640"');
    const openOn = async (provider: 'cpu' | 'cuda') => {
      const opened = await open('ppocrv4-det', change);
      const { settings } = opened.config;
      assert.ok(settings.role === 'detect');
      return { ...opened, runner: await openDetector({ ...opened, settings, provider }) };
    };
    const [onGpu, onCpu] = [await openOn('cuda'), await openOn('cpu')];
    const warmed = ['1×3×320×320', '1×3×320×640', '1×3×640×320', '1×3×640×640'];
    assert.deepEqual(onGpu.shapes, warmed);
    onGpu.shapes.length = 0;
    for (const file of ['notice.png', 'receipt.jpg', 'mixed-slide.png']) {
      const page = await pageOf(file, 640);
      const find = async ({ runner }: typeof onGpu) => (await runner.run([page], page.width)).outputs[0];
      const [found, exact] = [regionsOf(await find(onGpu)), regionsOf(await find(onCpu))];
      assert.equal(found.length, exact.length, file);
      for (const [i, { quad }] of found.entries())
        for (const [corner, value] of quad.entries())
          assert.ok(Math.abs(value - (exact[i]?.quad[corner] ?? Number.NaN)) < 16, `${file}, line ${i}`);
    }
    assert.ok(
      onGpu.shapes.every((shape) => warmed.includes(shape)),
      onGpu.shapes.join(),
    );
    assert.ok(
      onCpu.shapes.every((shape) => !warmed.includes(shape)),
      onCpu.shapes.join(),
    );
  });

  it('of pages are the one that a model fixes, and regions stand where they are on the page', async () => {
    await mkdir(join(repository, 'fixed/1'), { recursive: true });
    await writeFile(join(repository, 'fixed/1/model.onnx'), darkPixels(64, 96));
    await writeFile(
      join(repository, 'fixed/config.pbtxt'),
      `name: "fixed" max_batch_size: 1
      input { name: "x" data_type: TYPE_FP32 dims: [3, 64, 96] }
      output { name: "y" data_type: TYPE_FP32 dims: [1, 64, 96] }`,
    );
    const opened = await open('fixed');
    const { settings } = opened.config;
    assert.ok(settings.role === 'detect');
    assert.equal(settings.maxSide, 64);
    const runner = await openDetector({ ...opened, settings, provider: 'cpu' });
    const page = { width: 64, height: 32, data: new Uint8Array(64 * 32 * 3).fill(255) };
    for (let y = 8; y < 20; y++) page.data.fill(0, (y * 64 + 16) * 3, (y * 64 + 48) * 3);
    const [region, ...others] = regionsOf((await runner.run([page], 64)).outputs[0]);
    assert.deepEqual(others, []);
    const [x = 0, y = 0] = region?.quad ?? [];
    assert.ok(x > 0 && x <= 16 && y > 0 && y <= 8, `${x}, ${y}`);
    assert.deepEqual([...new Set(opened.shapes)], ['1×3×64×96']);
  });
});

async function pageOf(file: string, maxSide: number) {
  const source = sharp(`${samplesFolder}${file}`).flatten({ background: '#fff' }).toColourspace('srgb');
  const { width, height } = await source.metadata();
  const size = detectionSize(width, height, maxSide);
  const data = await source
    .resize({ ...size, fit: 'fill' })
    .raw()
    .toBuffer();
  return { ...size, data };
}

function regionsOf(output: unknown) {
  return regionsSchema.parse(output);
}

/** A detector that takes every dark pixel for text, of one size. */
function darkPixels(height: number, width: number): Uint8Array {
  const axes = intsAttribute('axes', [1]);
  const value = (name: string, channels: number): OnnxValue => ({
    name,
    type: {
      tensor_type: {
        elem_type: elementType.float,
        shape: { dim: [1, channels, height, width].map((size) => ({ dim_value: BigInt(size) })) },
      },
    },
  });
  return encodeModel({
    ir_version: 8n,
    opset_import: [{ domain: '', version: 11n }],
    graph: {
      name: 'dark-pixels',
      node: [
        newNode({
          type: 'ReduceMean',
          input: ['x'],
          output: 'grey',
          attributes: [axes, intAttribute('keepdims', 1)],
        }),
        newNode({ type: 'Mul', input: ['grey', 'contrast'], output: 'darkness' }),
        newNode({ type: 'Sigmoid', input: ['darkness'], output: 'y' }),
      ],
      initializer: [floatTensor('contrast', [], Float32Array.of(-20))],
      input: [value('x', 3)],
      output: [value('y', 1)],
      value_info: [],
    },
  });
}
