import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { VersionPolicy } from '@glyphmill/inference/model-config';
import { keptVersions, type Look, namedVersions, nextVersion } from '@glyphmill/inference/version-policy';
import { scanVersions } from '@glyphmill/inference/version-scan';
import fc from 'fast-check';

const latest = (count: number): VersionPolicy => ({ kind: 'latest', count });
const specific = (...versions: number[]): VersionPolicy => ({ kind: 'specific', versions });
const stamps = (...versions: number[]) => new Map(versions.map((version) => [version, `stamp ${version}`]));
const look = (given: Partial<Look>): Look => ({
  policy: latest(1),
  before: given.now ?? new Map(),
  now: new Map(),
  served: [],
  failed: new Set(),
  ...given,
});

describe('the version to load next', () => {
  it('is the newest that the policy names', () => {
    assert.equal(nextVersion(look({ now: stamps(1, 2, 10), served: [1] })), 10);
    assert.equal(nextVersion(look({ now: stamps(1, 2), served: [2] })), undefined);
    assert.equal(nextVersion(look({ policy: { kind: 'all' }, now: stamps(1, 2, 3), served: [3] })), 2);
    assert.equal(nextVersion(look({ policy: specific(1, 7), now: stamps(1, 2), served: [] })), 1);
  });

  it('is none whose files were not yet there, or not the same, at the look before', () => {
    assert.equal(nextVersion(look({ before: stamps(1), now: stamps(1, 2), served: [1] })), undefined);
    const before = new Map([...stamps(1), [2, 'half'] as const]);
    assert.equal(nextVersion(look({ before, now: stamps(1, 2), served: [1] })), undefined);
  });

  it('is the one before a version that failed', () => {
    const failed = new Set([3]);
    assert.equal(nextVersion(look({ now: stamps(1, 2, 3), served: [1], failed })), 2);
    assert.equal(nextVersion(look({ now: stamps(1, 2, 3), served: [2], failed })), undefined);
  });

  it('is no older one for a directory that a single look did not find', () => {
    const gone = { now: stamps(1), served: [2] };
    assert.equal(nextVersion(look({ ...gone, before: stamps(1, 2) })), undefined);
    assert.equal(nextVersion(look({ ...gone, before: stamps(1) })), 1);
  });
});

describe('the versions kept', () => {
  it('are those that the policy names of the ones served, and never none', () => {
    assert.deepEqual(keptVersions(look({ now: stamps(1, 2), served: [2, 1] })), [2]);
    assert.deepEqual(keptVersions(look({ policy: specific(3), now: stamps(1, 2, 3), served: [2, 1] })), [2]);
    assert.deepEqual(keptVersions(look({ served: [2, 1] })), [2]);
    assert.deepEqual(keptVersions(look({ before: stamps(2), now: stamps(1), served: [2, 1] })), [2]);
  });

  it('become what the policy names in steps that need one version more at most', () => {
    const version = fc.integer({ min: 1, max: 9 });
    const versions = fc.uniqueArray(version, { maxLength: 9 });
    const policy = fc.oneof(
      fc.constant<VersionPolicy>({ kind: 'all' }),
      fc.integer({ min: 1, max: 4 }).map(latest),
      fc.uniqueArray(version, { minLength: 1 }).map((named) => specific(...named)),
    );
    fc.assert(
      fc.property(policy, versions, versions, versions, (policy, present, start, broken) => {
        const now = stamps(...present);
        const failed = new Set<number>();
        let served = start;
        const named = namedVersions(
          present.filter((version) => start.includes(version) || !broken.includes(version)),
          policy,
        );
        const most = Math.max(served.length, named.length, 1);
        const state = () => look({ policy, now, served, failed });
        if (served.length > 0) served = keptVersions(state());
        for (let next = nextVersion(state()); next !== undefined; next = nextVersion(state())) {
          if (broken.includes(next)) failed.add(next);
          else {
            served = [...served, next];
            assert.ok(served.length <= most + 1);
            served = keptVersions(state());
          }
        }
        if (named.length > 0) assert.deepEqual(served.sort(), named.sort());
        else assert.ok(served.length === Math.min(1, start.length));
      }),
    );
  });
});

describe('a look at a model’s directory', () => {
  it('finds the versions that have their model file, and tells one state of its files from another', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'glyphmill-versions-'));
    try {
      for (const name of ['1', '2', '3', '04', 'old', '.5']) await mkdir(join(directory, name));
      for (const name of ['1', '3', '04', 'old', '.5'])
        await writeFile(join(directory, name, 'model.onnx'), name === '3' ? '' : 'graph');
      await writeFile(join(directory, '6'), 'a file');
      const first = await scanVersions(directory, 'model.onnx');
      assert.deepEqual([...first.keys()], [1]);
      assert.deepEqual(await scanVersions(directory, 'model.onnx'), first);
      await writeFile(join(directory, '1/model.onnx.data'), 'weights');
      const second = await scanVersions(directory, 'model.onnx');
      assert.notEqual(second.get(1), first.get(1));
      await writeFile(join(directory, '1/model.onnx'), 'longer graph');
      assert.notEqual((await scanVersions(directory, 'model.onnx')).get(1), second.get(1));
      await assert.rejects(scanVersions(join(directory, 'none'), 'model.onnx'), { code: 'ENOENT' });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
