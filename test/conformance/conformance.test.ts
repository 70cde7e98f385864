import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runWithCurl } from './curl-driver.ts';
import { runAssignments } from './driver.ts';
import { findPython, runPython } from './python.ts';
import { type Suite, startSuite } from './suite.ts';

let suite: Suite;
let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'glyphmill-conformance-'));
  suite = await startSuite();
});
after(async () => {
  await suite.close();
  await rm(dir, { recursive: true, force: true });
});

test('the client for TypeScript, in Node', async (t) => {
  let files = 0;
  await suite.judge(t, 'typescript', (assignments) =>
    runAssignments(assignments, {
      async writeFile(text) {
        files += 1;
        const path = join(dir, `document${files}`);
        await writeFile(path, text);
        return path;
      },
    }),
  );
});

for (const mode of ['sync', 'async'] as const) {
  test(`the ${mode} client for Python`, async (t) => {
    const found = await findPython();
    if ('missing' in found) {
      t.skip(found.missing);
      return;
    }
    await suite.judge(t, mode === 'sync' ? 'python' : 'python-async', (assignments) =>
      runPython(found.python, mode, { assignments, documents: dir }),
    );
  });
}

test('plain HTTP, with curl', (t) => suite.judge(t, 'curl', (assignments) => runWithCurl(assignments, dir)));
