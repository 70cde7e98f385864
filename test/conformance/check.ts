import assert from 'node:assert/strict';
import type { Case, Driver, Json, Outcome, Pattern } from './case.ts';
import { lookUp } from './driver.ts';
import type { SeenRequest } from './script-server.ts';

/** Throws unless what came of a case is what the case says. */
export function check(
  { expect, script }: Case,
  outcome: Outcome,
  seen: readonly SeenRequest[],
  driver: Driver,
): void {
  if (expect.error === undefined) {
    assert.equal(outcome.error, undefined, `it failed: ${JSON.stringify(outcome.error)}`);
  } else {
    checkError(expect.error, outcome, driver);
  }
  if (expect.value !== undefined) match(outcome.value ?? null, expect.value, 'the value');
  for (const [name, pattern] of Object.entries(expect.kept ?? {})) {
    match(outcome.kept[name] ?? null, pattern, name);
  }
  const at = (path: string) => lookUp(outcome.kept, path.slice(1));
  for (const [a, b] of expect.same ?? []) {
    assert.notEqual(at(a), null, `${a} is there`);
    assert.deepEqual(at(a), at(b), `${a} and ${b}`);
  }
  for (const [a, b] of expect.different ?? []) assert.notDeepEqual(at(a), at(b), `${a} and ${b}`);
  if (script !== undefined) checkSeen(expect, seen);
}

function checkError(
  expected: NonNullable<Case['expect']['error']>,
  { error, value }: Outcome,
  driver: Driver,
): void {
  assert.ok(error, `it gave ${JSON.stringify(value)}`);
  const { code, status } = expected;
  const told = JSON.stringify(error);
  if (code !== undefined) assert.equal(error.code, code, told);
  if (status !== undefined) assert.equal(error.status, status, told);
  // What has no classes of errors has only the code of the answer.
  const words = (code ?? '').split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  const name = expected.name ?? `${words.join('')}Error`;
  if (driver !== 'curl' || code === undefined) assert.equal(error.name, name, told);
}

function checkSeen(expect: Case['expect'], seen: readonly SeenRequest[]): void {
  const told = seen.map(({ method, path }) => `${method} ${path}`).join(', ');
  if (expect.seen !== undefined) assert.equal(seen.length, expect.seen.length, `it asked: ${told}`);
  for (const [index, { method, path, headers = {}, body }] of (expect.seen ?? []).entries()) {
    const request = seen[index];
    assert.ok(request);
    if (method !== undefined) assert.equal(request.method, method, told);
    if (path !== undefined) match(request.path, path, 'the path');
    if (body !== undefined) match(request.body, body, 'the body');
    for (const [name, pattern] of Object.entries(headers)) {
      match(request.headers[name]?.toString() ?? null, pattern, `the header ${name}`);
    }
  }
  const tookMs = (seen.at(-1)?.atMs ?? 0) - (seen[0]?.atMs ?? 0);
  if (expect.leastMs !== undefined) assert.ok(tookMs >= expect.leastMs, `${tookMs} ms are too short`);
  if (expect.mostMs !== undefined) assert.ok(tookMs <= expect.mostMs, `${tookMs} ms are too long`);
  if (expect.sameIdempotencyKey) {
    const keys = new Set(seen.map(({ headers }) => headers['idempotency-key']));
    assert.ok(keys.size === 1 && !keys.has(undefined), `keys: ${[...keys].join(', ')}`);
  }
}

function match(value: Json, pattern: Pattern, where: string): void {
  if (Array.isArray(pattern)) {
    assert.ok(Array.isArray(value), `${where}: expected a list, got ${JSON.stringify(value)}`);
    assert.equal(value.length, pattern.length, `${where}: ${JSON.stringify(value)}`);
    for (const [index, item] of pattern.entries()) match(value[index] ?? null, item, `${where}[${index}]`);
    return;
  }
  if (typeof pattern !== 'object' || pattern === null) {
    assert.deepEqual(value, pattern, where);
    return;
  }
  if (typeof pattern.matches === 'string') {
    assert.ok(typeof value === 'string', `${where}: expected a text, got ${JSON.stringify(value)}`);
    assert.match(value, new RegExp(pattern.matches), where);
    return;
  }
  if (typeof pattern.length === 'number' || pattern.last !== undefined) {
    assert.ok(Array.isArray(value), `${where}: expected a list, got ${JSON.stringify(value)}`);
    if (typeof pattern.length === 'number') assert.equal(value.length, pattern.length, where);
    if (pattern.last !== undefined) match(value.at(-1) ?? null, pattern.last, `the last of ${where}`);
    return;
  }
  for (const [name, item] of Object.entries(pattern)) {
    const found =
      typeof value === 'object' && value !== null && !Array.isArray(value) ? value[name] : undefined;
    assert.notEqual(
      found,
      undefined,
      `${where}.${name} is missing in ${JSON.stringify(value).slice(0, 500)}`,
    );
    match(found ?? null, item, `${where}.${name}`);
  }
}
