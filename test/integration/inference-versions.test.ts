import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type ModelProblem, type Models, openModels } from '@glyphmill/inference/models';
import { createWorkerMetrics } from 'glyphmill-worker/metrics';
import { checkModels } from 'glyphmill-worker/readiness';
import { addVersion as addVersionTo, greyLine, readsB, writeTinyModel } from './inference-onnx.ts';
import { isAlive, newRepository, pidsOf, quietLog, until } from './inference-samples.ts';

/** What each version of the tiny model reads in every line. */
const texts = ['', 'a', 'b'] as const;
const model = 'tiny';

describe('the versions of a model', () => {
  let repository = '';
  let opened: Models | undefined;

  beforeEach(async () => {
    repository = await newRepository();
  });
  afterEach(async () => {
    await opened?.close(0);
    opened = undefined;
    await rm(repository, { recursive: true });
  });

  const open = async (options: Partial<Parameters<typeof openModels>[0]> = {}) => {
    const instances = { recognize: 1 };
    const log = quietLog();
    opened = await openModels({
      repository,
      names: { recognize: model },
      provider: 'cpu',
      instances,
      versions: { lookMs: 50 },
      log,
      ...options,
    });
    return opened;
  };
  const write = (policy = '', delayMs = 1) => {
    const batching = `dynamic_batching { max_queue_delay_microseconds: ${delayMs * 1000} }`;
    return writeTinyModel(repository, { name: model, kind: 'plain', extra: `${policy}\n${batching}` });
  };

  const addVersion = (version: number, bytes: Uint8Array) =>
    addVersionTo(join(repository, model), version, bytes);
  const firstModel = () => readFile(join(repository, model, '1/model.onnx'));
  const served = (models: Models) =>
    models.info().flatMap((info) => (info.name === model ? info.version : []));
  const readings = async (models: Models, count: number) => {
    const read = await Promise.all(
      Array.from({ length: count }, (_, i) => models.recognize(greyLine(i % 256))),
    );
    return read.map(({ reading, served }) => ({ text: reading.text, version: served.version }));
  };

  it('change under load without a line lost, and a broken one is told of and left out', async () => {
    await write();
    const problems: ModelProblem[] = [];
    const models = await open({ onProblem: (problem) => problems.push(problem) });
    const oldPids = pidsOf(models, model);
    const first = await firstModel();
    const total = { asked: 0, read: 0 };
    const seen = new Set<string>();
    let isOver = false;
    const reader = async () => {
      while (!isOver) {
        total.asked++;
        const { reading, served } = await models.recognize(greyLine(total.asked % 256));
        assert.equal(reading.text, texts[Number(served.version)], `the text of version ${served.version}`);
        assert.equal(served.microBatch.id.startsWith(`${model}-${served.version}-`), true);
        seen.add(served.version);
        total.read++;
      }
    };
    const readers = Promise.all(Array.from({ length: 24 }, reader));
    await until('lines are read by version 1', () => total.read > 700);
    await addVersion(2, readsB(first));
    await until('version 2 serves alone', () => served(models).join() === '2');
    const atSwap = total.read;
    await until('lines are read by version 2', () => total.read > atSwap + 700);
    await until('the processes of version 1 are gone', () => !oldPids.some(isAlive));
    await addVersion(3, first.subarray(0, first.length / 2));
    await until('version 3 is told of', () => problems.length > 0);
    const atFault = total.read;
    await until('lines go on being read', () => total.read > atFault + 700);
    isOver = true;
    await readers;

    assert.equal(total.read, total.asked);
    assert.ok(total.read > 2000);
    assert.deepEqual([...seen], ['1', '2']);
    assert.deepEqual(served(models), ['2']);
    assert.deepEqual(
      problems.map(({ model, version }) => ({ model, version })),
      [{ model, version: '3' }],
    );
    assert.deepEqual(models.problems(), problems);
    const { ok, detail } = checkModels(models);
    assert.ok(ok, 'the worker stays ready');
    assert.match(detail, /tiny 2 on cpu: 1 instances; tiny 3 did not load: ./);
    assert.match(await metricsAfter(problems), /load_failures_total\{model="tiny",version="3"\} 1\n/);
    assert.equal(pidsOf(models, model).length, 1);
    // Mended, it is loaded.
    await writeFile(join(repository, model, '3/model.onnx'), first);
    await until('version 3 serves', () => served(models).join() === '3');
    assert.deepEqual(models.problems(), []);
  });

  it('read the lines that wait for them before they go', async () => {
    await write('', 8000);
    const models = await open();
    const line = models.recognize(greyLine(9));
    await addVersion(2, readsB(await firstModel()));
    await until('version 2 serves alone', () => served(models).join() === '2');
    assert.equal(models.waiting(), 1);
    assert.equal((await line).served.version, '1');
    await until('the process of version 1 is gone', () => pidsOf(models, model).length === 1);
  });

  it('leave the lines to the next where their time to go is over, as where a run hangs', async () => {
    await writeTinyModel(repository, { name: model, kind: 'hang' });
    const elsewhere = join(repository, '.elsewhere');
    await writeTinyModel(elsewhere, { name: model, kind: 'plain' });
    const models = await open({ versions: { lookMs: 50, drainMs: 100 } });
    const white = greyLine(255);
    const settled = Promise.allSettled([
      models.recognize(white),
      models.recognize(white, { version: '1' }),
      ...Array.from({ length: 9 }, () => models.recognize(greyLine(9))),
    ]);
    await addVersion(2, readsB(await readFile(join(elsewhere, model, '1/model.onnx'))));
    const [moved, pinned, ...others] = await settled;
    assert.ok(pinned?.status === 'rejected');
    assert.equal(pinned.reason.code, 'closed');
    for (const line of [moved, ...others]) {
      assert.ok(line?.status === 'fulfilled');
      assert.deepEqual([line.value.served.version, line.value.reading.text], ['2', 'b']);
    }
    await until('the process of version 1 is gone', () => pidsOf(models, model).length === 1);
  });

  it('stay as version_policy specific says, until it says something else', async () => {
    await write('version_policy { specific { versions: [1] } }');
    await addVersion(2, readsB(await firstModel()));
    const models = await open();
    assert.deepEqual(served(models), ['1']);
    const config = join(repository, model, 'config.pbtxt');
    const text = await readFile(config, 'utf8');
    await writeFile(config, text.replace('[1]', '[1, 2]'));
    await until('both serve', () => served(models).join() === '2,1');
    const pinned = await models.recognize(greyLine(9), { version: '1' });
    assert.deepEqual([pinned.served.version, pinned.reading.text], ['1', 'a']);
    assert.equal((await models.recognize(greyLine(9))).served.version, '2');
    await writeFile(config, text);
    await until('version 1 serves alone', () => served(models).join() === '1');
    await assert.rejects(models.recognize(greyLine(9), { version: '2' }), { code: 'no-instance' });
    // A change that lines under way would not fit is told of and not followed.
    await writeFile(config, text.replace('32,64', '32,96'));
    await until('the change is told of', () => models.problems().length > 0);
    assert.match(models.problems()[0]?.message ?? '', /more than version_policy/);
    await writeFile(config, text);
    await until('all is well', () => models.problems().length === 0);
  });

  it('are kept in the number that latest says, and go when their directories do, but for the last', async () => {
    await write('version_policy { latest { num_versions: 2 } }');
    const first = await firstModel();
    await addVersion(2, readsB(first));
    const models = await open();
    assert.deepEqual(served(models), ['2', '1']);
    await addVersion(4, first);
    await until('the newest two serve', () => served(models).join() === '4,2');
    await rm(join(repository, model, '4'), { recursive: true });
    await until('the next older is back', () => served(models).join() === '2,1');
    await rm(join(repository, model, '1'), { recursive: true });
    await until('version 2 is left', () => served(models).join() === '2');
    await rm(join(repository, model, '2'), { recursive: true });
    await addVersion(3, readsB(first));
    await until('version 3 serves alone', () => served(models).join() === '3');
  });

  it('start with an older one where the newest is broken or only half there', async () => {
    await write();
    const first = await firstModel();
    await addVersion(2, first.subarray(0, 100));
    await mkdir(join(repository, model, '3'));
    const models = await open();
    assert.deepEqual(served(models), ['1']);
    assert.equal(models.problems()[0]?.version, '2');
    await writeFile(join(repository, model, '2/model.onnx'), readsB(first));
    await until('version 2 serves alone', () => served(models).join() === '2');
    assert.deepEqual(models.problems(), []);
  });

  it('are closed while one finishes its lines, which it reads', async () => {
    await write('', 60_000);
    const models = await open();
    const line = models.recognize(greyLine(9));
    await addVersion(2, readsB(await firstModel()));
    await until('version 2 serves alone', () => served(models).join() === '2');
    const pids = pidsOf(models, model);
    assert.equal(pids.length, 2);
    await models.close();
    assert.equal((await line).served.version, '1');
    assert.deepEqual(pids.filter(isAlive), []);
  });

  it('leave no process when they are closed while one is coming up', async () => {
    await write();
    const models = await open({ instances: { recognize: 2 } });
    const readingsDone = readings(models, 50);
    const mine = async () => (await childPids()).filter((pid) => !known.has(pid));
    const known = new Set(await childPids());
    await addVersion(2, readsB(await firstModel()));
    let started: number[] = [];
    const deadline = performance.now() + 20_000;
    while (started.length === 0 && performance.now() < deadline) started = await mine();
    assert.ok(started.length > 0, 'a process of version 2 is starting');
    assert.deepEqual(served(models), ['1']);
    await models.close();
    assert.equal((await readingsDone).length, 50);
    assert.deepEqual([...known, ...started].filter(isAlive), []);
    assert.deepEqual(await childPids(), []);
    await assert.rejects(models.recognize(greyLine(9)), { code: 'closed' });
  });
});

/** What a worker that was told of these problems shows at a scrape. */
function metricsAfter(problems: ModelProblem[]): Promise<string> {
  const metrics = createWorkerMetrics({
    documentsInFlight: () => 0,
    bytesInFlight: () => 0,
    linesWaiting: () => 0,
    instances: () => [],
    models: () => [],
    problems: () => [],
  });
  for (const problem of problems) metrics.onModelProblem(problem);
  return metrics.registry.metrics();
}

/** Instances that are children of this process and not dead. */
async function childPids(): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const isMine = Number(parent) === process.pid && state !== 'Z' && command.includes('instance-process');
      return isMine ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}
