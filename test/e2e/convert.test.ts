import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { repositoryRoot } from './system.ts';

const folder = mkdtempSync(join(tmpdir(), 'glyphmill-convert-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const model = join(folder, 'model');
mkdirSync(model);
for (const name of ['inference.json', 'inference.pdiparams']) writeFileSync(join(model, name), '{}');

/** A PATH with what the command needs of the system, and these scripts. */
function pathWith(name: string, scripts: Record<string, string>): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const command of ['dirname', 'mkdir', 'chmod'])
    symlinkSync(`/usr/bin/${command}`, join(path, command));
  for (const [command, text] of Object.entries({ npx: 'exit 9', ...scripts })) {
    writeFileSync(join(path, command), `#!/bin/sh\n${text}\n`);
    chmodSync(join(path, command), 0o755);
  }
  return path;
}

function convert(args: string[], path = process.env.PATH ?? '') {
  const command = join(repositoryRoot, 'tools/convert/convert.sh');
  const env = { PATH: path, CONVERT_VENV: join(folder, 'venv') };
  const { status, stderr } = spawnSync('/bin/sh', [command, ...args], { env, encoding: 'utf8' });
  return { status, stderr };
}

function refused(args: string[], expected: { status: number; says: RegExp; path?: string }) {
  const { status, stderr } = convert(args, expected.path);
  assert.match(stderr, expected.says);
  assert.equal(status, expected.status);
}

describe('tools/convert says what is wrong', () => {
  it('with the arguments', () => {
    const usage = { status: 2 };
    refused([], { ...usage, says: /expected the folder[\s\S]*Usage:/ });
    refused([model], { ...usage, says: /expected --name/ });
    refused([model, '--name'], { ...usage, says: /--name expects a value/ });
    refused([model, model, '--name', 'x'], { ...usage, says: /expected one folder/ });
    refused([model, '--colour', 'red'], { ...usage, says: /there is no option --colour/ });
    refused([model, '--name', 'x', '--role', 'sing'], {
      ...usage,
      says: /--role recognize or detect, got sing/,
    });
  });

  it('with the files', () => {
    const failed = { status: 1 };
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    refused([join(folder, 'no'), '--name', 'x'], { ...failed, says: /there is no folder .*no;/ });
    refused([empty, '--name', 'x'], { ...failed, says: /neither inference\.json .* nor inference\.pdmodel/ });
    writeFileSync(join(empty, 'inference.pdmodel'), '');
    refused([empty, '--name', 'x'], { ...failed, says: /has no inference\.pdiparams/ });
    refused([model, '--name', 'x', '--labels', 'no.txt'], {
      ...failed,
      says: /there is no dictionary no\.txt/,
    });
  });

  it('where there is no Python', () => {
    const path = pathWith('no-python', {});
    refused([model, '--name', 'x'], {
      status: 1,
      path,
      says: /there is no python3; install Python 3\.11.*container/,
    });
  });

  it('where Python cannot make environments', () => {
    const path = pathWith('no-venv', { python3: 'exit 1' });
    refused([model, '--name', 'x'], {
      status: 1,
      path,
      says: /no venv module; install it .*python3-venv/,
    });
  });

  it('where pip cannot install', () => {
    const make = 'mkdir -p "$3/bin"; printf "#!/bin/sh\nexit 1\n" >"$3/bin/python"; chmod +x "$3/bin/python"';
    const path = pathWith('no-network', { python3: `[ "$1" = -c ] && exit 0\n${make}` });
    refused([model, '--name', 'x'], {
      status: 1,
      path,
      says: /pip could not install .*requirements\.txt; it needs the network/,
    });
  });
});
