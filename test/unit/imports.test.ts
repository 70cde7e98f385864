import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const workspaces = ['packages', 'apps'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .map((name) => join(root, folder, name))
    .filter((path) => existsSync(join(path, 'package.json'))),
);
const architecture = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');

interface Import {
  file: string;
  specifier: string;
}

/** Static and dynamic imports, and modules resolved by name. */
const importPattern =
  /(?:^\s*(?:import|export)[^'"`;]*?from\s*|^\s*import\s*|\bimport\(\s*)['"]([^'"]+)['"]/gm;

function importsOf(path: string): Import[] {
  return readdirSync(join(path, 'src'))
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const source = readFileSync(join(path, 'src', name), 'utf8');
      return [...source.matchAll(importPattern)].map(([, specifier = '']) => ({
        file: `${basename(path)}/src/${name}`,
        specifier,
      }));
    });
}

/** `@scope/name/file` → `@scope/name`, `name/file` → `name`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function bare(path: string): Import[] {
  return importsOf(path).filter(({ specifier }) => !specifier.startsWith('.') && !isBuiltin(specifier));
}

/** Rows of ARCHITECTURE.md's table: package → packages of ours that it may import. */
function allowedImports(): Map<string, string[]> {
  const section = architecture.split('## Who may import whom')[1]?.split('\n## ')[0] ?? '';
  const rows = [...section.matchAll(/^\| `(\w+)` \| ([^|]+) \|/gm)];
  return new Map(
    rows.map(([, name = '', list = '']) => [name, list.trim() === '–' ? [] : list.trim().split(', ')]),
  );
}

test('every package has a row in the table of ARCHITECTURE.md, and every row a package', () => {
  assert.deepEqual([...allowedImports().keys()].sort(), workspaces.map((path) => basename(path)).sort());
});

for (const path of workspaces) {
  const name = basename(path);

  test(`${name} imports only what its package.json declares`, () => {
    const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    const declared = new Set([manifest.name, ...Object.keys(manifest.dependencies ?? {})]);
    const undeclared = bare(path).filter(({ specifier }) => !declared.has(packageOf(specifier)));
    assert.deepEqual(undeclared, []);
  });

  test(`${name} imports only the packages of ours that ARCHITECTURE.md allows it`, () => {
    const allowed = allowedImports().get(name) ?? [];
    const forbidden = bare(path).filter(({ specifier }) => {
      const of = packageOf(specifier);
      if (of.startsWith('@glyphmill/')) return !allowed.includes(of.slice('@glyphmill/'.length));
      return of.startsWith('glyphmill-');
    });
    assert.deepEqual(forbidden, []);
  });
}

test('core uses no node modules', () => {
  const core = workspaces.find((path) => basename(path) === 'core') ?? '';
  const found = importsOf(core).filter(({ specifier }) => isBuiltin(specifier));
  assert.deepEqual(found, []);
});

for (const [library, owner] of [
  ['bullmq', 'queue'],
  ['ioredis', 'queue'],
  ['@aws-sdk/client-s3', 'storage'],
  ['onnxruntime-node', 'inference'],
  ['sharp', 'engine'],
] as const) {
  test(`only ${owner} imports ${library}`, () => {
    const importers = workspaces.filter((path) =>
      bare(path).some(({ specifier }) => packageOf(specifier) === library),
    );
    assert.deepEqual(
      importers.map((path) => basename(path)),
      [owner],
    );
  });
}

test('ARCHITECTURE.md names only files and folders that exist', () => {
  const paths = [...architecture.matchAll(/`((?:apps|packages|test)\/[\w./-]+)`/g)].map(
    ([, path = '']) => path,
  );
  assert.ok(paths.length > 5);
  assert.deepEqual(
    paths.filter((path) => !existsSync(join(root, path))),
    [],
  );
});

test('no source file has more than 300 lines, unless a program wrote it', () => {
  const long = workspaces.flatMap((path) =>
    readdirSync(join(path, 'src'))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(path, 'src', name))
      .filter((file) => {
        const text = readFileSync(file, 'utf8');
        return text.split('\n').length > 301 && !text.startsWith('// Written by test/');
      }),
  );
  assert.deepEqual(long, []);
});
