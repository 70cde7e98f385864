import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { bucket, startConformanceApi } from './api.ts';
import type { Assignment, Case, Driver, Outcome } from './case.ts';
import { cases } from './cases.ts';
import { check } from './check.ts';
import { startScriptServer } from './script-server.ts';

export type Suite = Awaited<ReturnType<typeof startSuite>>;
export type Run = (assignments: Assignment[]) => Promise<Outcome[]>;

/** The servers that the cases need, for all clients. */
export async function startSuite() {
  const api = await startConformanceApi();
  const scripts = await startScriptServer();
  let runs = 0;

  return {
    /** Gives one client all cases that it can do, and judges each. */
    async judge(t: TestContext, driver: Driver, run: Run): Promise<void> {
      runs += 1;
      const given = cases.filter(({ not = {} }) => not[driver] === undefined);
      const byAll = cases.filter(({ not }) => not === undefined).length;
      assert.ok(byAll >= 60, `${byAll} cases that every client can do are too few`);
      const prepared = await Promise.all(
        given.map((each, index) => prepare(each, `run${runs}/case${index}`)),
      );
      const outcomes = await run(prepared.map(({ assignment }) => assignment));
      for (const [index, each] of given.entries()) {
        const outcome = outcomes[index] ?? { kept: {}, error: { name: 'none', message: 'no outcome' } };
        await t.test(each.name, () => check(each, outcome, prepared[index]?.seen ?? [], driver));
      }
    },
    async close(): Promise<void> {
      await scripts.close();
      await api.close();
    },
  };

  async function prepare(each: Case, prefix: string) {
    const script = each.script && scripts.add(each.script);
    const places: Record<string, string> = { $bucket: bucket, $prefix: prefix, $base: script?.base ?? '' };
    const fill = (text: string) =>
      text.replace(/\$(?:bucket|prefix|base)\b/g, (name) => places[name] ?? name);
    for (const [key, text] of Object.entries(each.objects ?? {})) {
      await api.api.put(bucket, `${prefix}/${key}`, fill(text));
    }
    const assignment: Assignment = {
      baseUrl: script?.base ?? api.api.baseUrl,
      keys: api.keys(prefix),
      client: each.client ?? {},
      steps: JSON.parse(JSON.stringify(each.steps), (_name, value) =>
        typeof value === 'string' ? fill(value) : value,
      ),
    };
    return { assignment, seen: script?.seen ?? [] };
  }
}
