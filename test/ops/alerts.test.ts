import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type AlertCase, alertCases } from './alert-cases.ts';
import { type Alert, alertsFile, readAlerts } from './alert-rules.ts';
import { findPrometheus, promtool } from './prometheus.ts';

const found = await findPrometheus().catch((error: Error) => error);
const skip = found instanceof Error ? `no promtool: ${found.message}` : false;
const tool = found instanceof Error ? '' : found.promtool;

/** Of each case the alert is looked at this long after its series begin. */
const lookAfterMinutes: Partial<Record<string, number>> = { GlyphmillQueuePaused: 80 };

test('promtool finds nothing wrong with the rules', { skip }, async () => {
  assert.match(await promtool(tool, 'check', 'rules', alertsFile), /SUCCESS: \d+ rules found/);
});

test('each alert fires on what it is for, and not on what only looks like that', { skip }, async () => {
  const alerts = readAlerts();
  assert.deepEqual(alerts.map(({ alert }) => alert).sort(), Object.keys(alertCases).sort());
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-alerts-'));
  try {
    const file = join(dir, 'tests.yaml');
    await writeFile(
      file,
      stringify({ rule_files: [alertsFile], evaluation_interval: '1m', tests: alerts.flatMap(testsOf) }),
    );
    assert.match(await promtool(tool, 'test', 'rules', file), /SUCCESS/);
  } finally {
    await rm(dir, { recursive: true });
  }
});

function testsOf(alert: Alert) {
  const given = alertCases[alert.alert];
  if (given === undefined) throw new Error(`expected a case of ${alert.alert}`);
  return [
    promtoolTest(alert, { given, changes: {}, fires: true }),
    ...given.quiet.map((changes) => promtoolTest(alert, { given, changes, fires: false })),
  ];
}

function promtoolTest(
  { alert, labels, annotations }: Alert,
  { given, changes, fires }: { given: AlertCase; changes: Record<string, string>; fires: boolean },
) {
  const expected = { exp_labels: { ...labels, ...given.labels }, exp_annotations: annotations };
  return {
    name: `${alert} ${fires ? 'fires' : `is quiet with ${JSON.stringify(changes)}`}`,
    interval: '1m',
    input_series: Object.entries({ ...given.firing, ...changes }).map(([series, values]) => ({
      series,
      values,
    })),
    alert_rule_test: [
      {
        eval_time: `${lookAfterMinutes[alert] ?? 55}m`,
        alertname: alert,
        exp_alerts: fires ? [expected] : [],
      },
    ],
  };
}

test('each alert has a section of the operator’s guide, and each section about one an alert', async () => {
  const guide = 'docs/operations.md';
  const text = await readFile(fileURLToPath(new URL(`../../${guide}`, import.meta.url)), 'utf8');
  const sections = [...text.matchAll(/^### (Glyphmill\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(
    sections.sort(),
    readAlerts()
      .map(({ alert }) => alert)
      .sort(),
  );
  for (const { alert, annotations } of readAlerts()) {
    assert.equal(annotations.runbook_url, `${guide}#${alert.toLowerCase()}`);
  }
});
