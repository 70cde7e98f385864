import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { repositoryRoot } from './system.ts';

const deadlineMs = 300_000;

/** Processes whose command line or environment names the folder, as those of everything the demo starts does. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return ['cmdline', 'environ'].some((name) =>
        readFileSync(`/proc/${pid}/${name}`, 'utf8').includes(folder),
      );
    } catch {
      // It ended while we looked.
      return false;
    }
  });
}

/** So that finding nothing at the end means something. */
async function untilSome(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, 'no process of the demo was seen');
    await delay(50);
  }
}

test('npm run demo reads all samples within its bounds and leaves nothing running', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gm-demo-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const demo = spawn('npm', ['run', '--silent', 'demo', '--', '--json'], {
    cwd: repositoryRoot,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: deadlineMs,
  });
  let output = '';
  let progress = '';
  demo.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  demo.stderr.setEncoding('utf8').on('data', (text) => {
    progress += text;
  });
  const closed = once(demo, 'close');
  await untilSome(() => processesOf(folder).length > 1);
  const [code] = await closed;
  assert.equal(code, 0, progress);
  const { rows, summary, problems } = JSON.parse(output);
  assert.deepEqual(problems, []);
  assert.ok(rows.length >= 24);
  assert.equal(summary.succeeded, rows.length);
  assert.ok(summary.accuracy.latin.characterErrorRate <= 0.03);
  assert.ok(summary.accuracy.latin.wordF1 >= 0.95);
  assert.ok(summary.accuracy.chinese.characterErrorRate <= 0.05);
  assert.ok(summary.documentsInFlight >= 40);
  assert.ok(summary.batches.meanFill >= 0.8, `mean fill ${summary.batches.meanFill}`);
  assert.equal(summary.webhooks.verified, rows.length);
  assert.match(progress, /documents read/);
  assert.deepEqual(processesOf(folder), []);
  // tsx keeps its cache of compiled files there.
  assert.deepEqual(
    readdirSync(folder).filter((name) => !name.startsWith('tsx-')),
    [],
  );
});
