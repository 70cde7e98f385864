import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startMetricsServer } from '@glyphmill/service/metrics-server';
import { validate } from 'dockerfile-utils';
import { Registry } from 'prom-client';
import { z } from 'zod';
import {
  argsOf,
  dockerfileText,
  finalStage,
  type ImageApp,
  imageApps,
  imageEnvironment,
  imageSettings,
  images,
  repositoryRoot,
  type Stage,
  stagesOf,
} from './dockerfile.ts';

/** Environment of an image that its process does not read, but what it runs on. */
const foreignVariables = new Set(['HOME', 'LD_PRELOAD']);
const commandSchema = z.array(z.string());

for (const app of imageApps) {
  describe(`the Dockerfile of the ${app}`, () => {
    it('is a valid Dockerfile', () => {
      assert.deepEqual(validate(dockerfileText(app)), []);
    });

    it('builds on node 22 or later, and starts from images pinned by their tags', () => {
      const stages = stagesOf(app);
      const names = new Set(stages.map(({ name }) => name));
      const outside = stages.filter((stage) => !names.has(stage.from)).map(({ from }) => from);
      for (const from of outside) {
        const major = Number(/^node:(\d+)-bookworm-slim$/.exec(from)?.[1]);
        const isRuntime =
          /^(debian:bookworm-slim|nvidia\/cuda:12\.\d+\.\d+-cudnn-runtime-ubuntu22\.04)$/.test(from);
        assert.ok((major >= 22 && major % 2 === 0) || isRuntime, from);
      }
      assert.match(outside[0] ?? '', /^node:/);
    });

    it('installs what the lock file says, without scripts and development packages, in a stage of its own', () => {
      const installs = stagesOf(app).flatMap((stage) =>
        argsOf(stage, 'RUN')
          .filter((run) => /\bnpm\b/.test(run))
          .map((run) => ({ stage: stage.name, run })),
      );
      assert.deepEqual(
        installs.map(({ stage }) => stage),
        ['dependencies'],
      );
      const flags = `npm ci --workspace apps/${app} --omit=dev --ignore-scripts`;
      assert.ok(installs[0]?.run.includes(flags), installs[0]?.run);
    });

    it('holds the workspaces that the app imports, and no other', () => {
      const copied = stagesOf(app)
        .filter(({ name }) => name !== 'manifests')
        .flatMap((stage) => argsOf(stage, 'COPY'))
        .flatMap((args) => /^((?:apps|packages)\/\S+) \1$/.exec(args)?.[1] ?? []);
      assert.deepEqual(copied.toSorted(), workspacesOf(app).toSorted());
    });

    it('has its modules in one place, the only one that is copied', () => {
      const lock = z.object({ packages: z.record(z.string(), z.unknown()) });
      const { packages } = lock.parse(JSON.parse(readFileSync(`${repositoryRoot}package-lock.json`, 'utf8')));
      const nested = workspacesOf(app).map((folder) => `${folder}/node_modules/`);
      assert.deepEqual(
        Object.keys(packages).filter((path) => nested.some((folder) => path.startsWith(folder))),
        [],
      );
    });

    it('copies only what is there and reaches the builder', () => {
      const ignored = readFileSync(`${repositoryRoot}.dockerignore`, 'utf8').split('\n');
      const allowed = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
      const copies = stagesOf(app).flatMap((stage) => argsOf(stage, 'COPY'));
      const sources = copies
        .filter((args) => !args.startsWith('--from='))
        .flatMap((args) => args.split(' ').slice(0, -1));
      assert.ok(ignored.includes('*') && sources.length > 0);
      for (const source of sources) {
        assert.ok(existsSync(join(repositoryRoot, source)), source);
        assert.ok(
          allowed.some((entry) => source === entry || source.startsWith(`${entry}/`)),
          `${source} is ignored`,
        );
      }
    });
  });
}

for (const { app, target } of images) {
  const stage = finalStage(app, target);

  describe(`the image of the ${app}, ${target}`, () => {
    it('runs node itself as a user without rights, and stops at SIGTERM', () => {
      assert.deepEqual(argsOf(stage, 'USER'), ['10001:10001']);
      assert.deepEqual(argsOf(stage, 'STOPSIGNAL'), ['SIGTERM']);
      assert.deepEqual(command(stage, 'ENTRYPOINT'), ['node']);
      const [main = ''] = command(stage, 'CMD');
      const workdir = argsOf(stage, 'WORKDIR').at(-1)?.replace('/app/', '') ?? '';
      assert.equal(workdir, `apps/${app}`);
      assert.ok(existsSync(join(repositoryRoot, workdir, main)), main);
    });

    it('sets only settings that the process reads, listens beyond loopback and names its ports', () => {
      const environment = imageEnvironment(app, target);
      const settings = Object.values(imageSettings[app]);
      for (const [name, value] of Object.entries(environment)) {
        const setting = settings.find(({ env }) => env === name);
        assert.ok(setting !== undefined || foreignVariables.has(name), name);
        if (name.endsWith('_HOST')) assert.equal(value, '0.0.0.0', name);
        if (name.endsWith('_PORT')) assert.equal(Number(value), setting?.schema.parse(undefined), name);
      }
      const network = settings.map(({ env }) => env).filter((env) => /^(API|METRICS)_(HOST|PORT)$/.test(env));
      assert.deepEqual(
        network.filter((env) => environment[env] === undefined),
        [],
      );
      const ports = network.filter((env) => env.endsWith('_PORT')).map((env) => environment[env]);
      assert.deepEqual(argsOf(stage, 'EXPOSE').join(' ').split(' '), ports);
    });

    it('is healthy while /livez says so, and not when it says no or nothing', async () => {
      const found = /CMD (\[.*\])$/.exec(argsOf(stage, 'HEALTHCHECK')[0] ?? '');
      const [program, ...args] = commandSchema.parse(JSON.parse(found?.[1] ?? '[]'));
      assert.equal(program, 'node');
      const check = async (port: number) => {
        const child = spawn(process.execPath, args, { env: { METRICS_PORT: String(port) }, stdio: 'ignore' });
        const [code] = await once(child, 'exit');
        return code;
      };
      assert.equal(await withLiveness(true, check), 0);
      assert.equal(await withLiveness(false, check), 1);
      assert.equal(await check(await unusedPort()), 1);
    });

    it('carries the labels that registries show', () => {
      const labels = argsOf(stage, 'LABEL').join(' ');
      for (const label of ['title', 'description', 'licenses', 'version', 'revision'])
        assert.match(labels, new RegExp(`org\\.opencontainers\\.image\\.${label}="[^"]+"`));
    });
  });
}

describe('the image of the worker, by platform', () => {
  it('keeps of the native libraries those of its own platform', () => {
    const root = mkdtempSync(join(tmpdir(), 'glyphmill-image-'));
    const bin = join(root, 'node_modules/onnxruntime-node/bin/napi-v6');
    for (const platform of ['darwin/arm64', 'linux/arm64', 'linux/x64', 'win32/arm64', 'win32/x64'])
      mkdirSync(join(bin, platform, 'inner'), { recursive: true });
    for (const name of ['@img/sharp-wasm32', '@img/sharp-linux-x64', '@esbuild/linux-x64', 'esbuild', 'tsx'])
      mkdirSync(join(root, 'node_modules', name), { recursive: true });
    try {
      const runs = stagesOf('worker').flatMap((stage) => argsOf(stage, 'RUN'));
      const prune = runs.filter((run) => run.startsWith('find node_modules/onnxruntime-node'));
      assert.equal(prune.length, 1);
      execFileSync('sh', ['-c', prune[0] ?? 'false'], { cwd: root });
      const kept = readdirSync(bin).flatMap((os) =>
        readdirSync(join(bin, os)).map((arch) => `${os}/${arch}`),
      );
      assert.deepEqual(kept, [`linux/${process.arch}`]);
      assert.deepEqual(readdirSync(join(root, 'node_modules/@img')), ['sharp-linux-x64']);
      const modules = readdirSync(join(root, 'node_modules')).toSorted();
      assert.deepEqual(modules, ['@img', 'onnxruntime-node']);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it('leaves the decision for CPU or CUDA to a target, CPU by default', () => {
    assert.equal(finalStage('worker').name, 'cpu');
    assert.equal(imageEnvironment('worker', 'cpu').INFERENCE_PROVIDER, 'cpu');
    assert.equal(imageEnvironment('worker', 'cuda').INFERENCE_PROVIDER, 'cuda');
    assert.match(finalStage('worker', 'cuda').from, /^nvidia\/cuda:12\..*-cudnn-runtime/);
    const install = 'ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js';
    const provider = stagesOf('worker').find(({ name }) => name === 'provider');
    assert.ok(provider && argsOf(provider, 'RUN')[0]?.startsWith(install));
  });

  it('is not built for CUDA where a library of the provider is missing, the driver’s excepted', () => {
    const check = argsOf(finalStage('worker', 'cuda'), 'RUN').find((run) => run.includes('ldd')) ?? 'false';
    const found = ['libcudart.so.12 => /usr/local/cuda/lib64/libcudart.so.12', 'libcuda.so.1 => not found'];
    assert.equal(exitCodeWithLdd(check, found), 0);
    assert.notEqual(exitCodeWithLdd(check, [...found, 'libcudnn.so.9 => not found']), 0);
  });

  it('holds nothing to build or install with', () => {
    for (const { app, target } of images) {
      const copies = argsOf(finalStage(app, target), 'COPY').filter((args) => args.startsWith('--from=base'));
      assert.deepEqual(copies, ['--from=base /usr/local/bin/node /usr/local/bin/node'], `${app} ${target}`);
      assert.doesNotMatch(finalStage(app, target).from, /^node:|-devel-/);
    }
  });
});

const manifestSchema = z.object({
  name: z.string(),
  dependencies: z.record(z.string(), z.string()).default({}),
});

/** The folders of an app and of every workspace it imports, however far. */
function workspacesOf(app: ImageApp): string[] {
  const packages = new Map(
    readdirSync(`${repositoryRoot}packages`)
      .filter((name) => existsSync(`${repositoryRoot}packages/${name}/package.json`))
      .map((name) => [readManifest(`packages/${name}`).name, `packages/${name}`]),
  );
  const found = new Set<string>();
  const visit = (folder: string): void => {
    if (found.has(folder)) return;
    found.add(folder);
    for (const name of Object.keys(readManifest(folder).dependencies)) {
      const next = packages.get(name);
      if (next !== undefined) visit(next);
    }
  };
  visit(`apps/${app}`);
  return [...found];
}

/** What a build step exits with where the loader finds this of a library. */
function exitCodeWithLdd(step: string, lines: readonly string[]): number | null {
  const dir = mkdtempSync(join(tmpdir(), 'glyphmill-ldd-'));
  try {
    writeFileSync(join(dir, 'ldd'), `#!/bin/sh\ncat <<'END'\n${lines.join('\n')}\nEND\n`, { mode: 0o755 });
    const { status } = spawnSync('sh', ['-c', step], { env: { PATH: `${dir}:${process.env.PATH}` } });
    return status;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function readManifest(folder: string) {
  return manifestSchema.parse(JSON.parse(readFileSync(`${repositoryRoot}${folder}/package.json`, 'utf8')));
}

function command(stage: Stage, keyword: 'ENTRYPOINT' | 'CMD'): string[] {
  return commandSchema.parse(JSON.parse(argsOf(stage, keyword).at(-1) ?? 'null'));
}

async function withLiveness<T>(live: boolean, use: (port: number) => Promise<T>): Promise<T> {
  const server = await startMetricsServer({
    host: '127.0.0.1',
    port: 0,
    registry: new Registry(),
    isLive: () => live,
    readiness: async () => ({ ready: true, checks: {} }),
  });
  try {
    return await use(server.port);
  } finally {
    await server.close();
  }
}

/** A port that was free a moment ago. */
async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  return address.port;
}
