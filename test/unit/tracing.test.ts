import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { tracingSettings } from '@glyphmill/service/common-settings';
import { readConfig } from '@glyphmill/service/config';
import { listen } from '@glyphmill/service/listen';
import { openTracing, parseTraceparent, traceIdOf } from '@glyphmill/service/tracing';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;

test('a traceparent is taken as W3C Trace Context has it, and nothing else is', () => {
  assert.equal(parseTraceparent(traceparent), traceparent);
  assert.equal(traceIdOf(traceparent), traceId);
  const later = `cc-${traceId}-00f067aa0ba902b7-01-what-is-to-come`;
  assert.equal(parseTraceparent(later), later);
  for (const wrong of [
    undefined,
    '',
    'nonsense',
    traceparent.toUpperCase(),
    `ff-${traceId}-00f067aa0ba902b7-01`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `${traceparent}\n`,
    `${traceparent}-${'x'.repeat(300)}`,
    [traceparent, traceparent],
  ])
    assert.equal(parseTraceparent(wrong), null, String(wrong));
  assert.equal(traceIdOf(null), undefined);
});

test('without a collector tracing is off, and hands on where the caller’s trace was', async () => {
  const tracing = openTracing(readConfig(tracingSettings, {}), 'test');
  assert.equal(tracing.isOn, false);
  assert.equal(tracing.begin({ name: 'any', parent: traceparent }).traceparent, traceparent);
  assert.equal(tracing.begin({ name: 'any', parent: null }).traceparent, null);
  await tracing.close();
});

test('the caller decides whether its trace is recorded, the setting of those that begin here', async () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_TRACES_SAMPLER_ARG: '0' };
  const tracing = openTracing(readConfig(tracingSettings, env), 'test');
  const flagsOf = (parent: string | null) => tracing.begin({ name: 'any', parent }).traceparent?.slice(-2);
  assert.equal(flagsOf(null), '00');
  assert.equal(flagsOf(traceparent), '01');
  assert.equal(flagsOf(`00-${traceId}-00f067aa0ba902b7-00`), '00');
  await tracing.close();
});

test('a collector that takes connections and never answers holds no process up', async () => {
  const server = createServer(() => {});
  const port = await listen(server, { host: '127.0.0.1', port: 0 });
  const config = readConfig(tracingSettings, { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
  const tracing = openTracing(config, 'test');
  tracing.begin({ name: 'any', parent: null }).end();
  const begunMs = performance.now();
  await tracing.close();
  assert.ok(performance.now() - begunMs < 4000);
  server.close();
  server.closeAllConnections();
});

test('headers for the collector are name=value pairs, and a wrong one is refused without being shown', () => {
  const read = (value: string) =>
    readConfig(tracingSettings, { OTEL_EXPORTER_OTLP_HEADERS: value }).otlpHeaders;
  assert.deepEqual(read('authorization=Bearer a=b, x-scope=1'), [
    ['authorization', 'Bearer a=b'],
    ['x-scope', '1'],
  ]);
  assert.throws(
    () => read('hunter2'),
    (error: Error) =>
      /OTEL_EXPORTER_OTLP_HEADERS is set: /.test(error.message) && !/hunter2/.test(error.message),
  );
});
