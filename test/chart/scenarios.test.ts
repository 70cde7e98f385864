import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Document, lint, packageChart, parseDocuments, render, scenarios, template } from './helm.ts';
import { helmReleases } from './helm-binary.ts';
import { typeErrors, validate } from './kinds.ts';
import { workload } from './workloads.ts';

const [newest, ...older] = helmReleases;

describe('the scenarios of ci/', () => {
  it('are those that were promised', () => {
    const promised = 'air-gapped external-redis-tls full gpu gpu-mig hpa keda minimal';
    assert.equal(scenarios.toSorted().join(' '), promised);
  });

  for (const release of helmReleases)
    it(`pass lint --strict of Helm ${release.version}`, async () => {
      for (const scenario of scenarios)
        assert.match(await lint({ release, scenario }), /1 chart\(s\) linted, 0 chart\(s\) failed/);
    });

  for (const scenario of scenarios)
    it(`${scenario} renders to the same under every Helm, to objects of unique names that are valid`, async () => {
      const text = await template({ scenario, ...(newest && { release: newest }) });
      const documents = parseDocuments(text);
      for (const release of older)
        assert.deepEqual(sorted(await render({ scenario, release })), sorted(documents));
      const names = documents.map(nameOf);
      assert.equal(new Set(names).size, names.length);
      for (const document of documents)
        assert.doesNotThrow(() => validate(document), `${scenario} ${nameOf(document)}`);
    });

  it('render to the same from the packaged chart', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'glyphmill-chart-'));
    try {
      const chart = await packageChart(dir);
      for (const scenario of ['full', 'air-gapped'])
        assert.equal(await template({ scenario, chart }), await template({ scenario }));
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  it('have no field that their kinds do not know', async () => {
    const rendered = await Promise.all(
      scenarios.map(async (scenario) =>
        (await render({ scenario })).map((document) => ({
          name: `${scenario} ${nameOf(document)}`,
          document,
        })),
      ),
    );
    assert.equal(await typeErrors(rendered.flat()), '');
  });
});

describe('the checks of rendered objects', () => {
  it('find a wrong type and a missing field', async () => {
    const documents = await render({ scenario: 'keda' });
    const wrong = { ...find(documents, 'Deployment'), spec: { replicas: 'two', template: {} } };
    assert.throws(() => validate(wrong), /selector.*replicas must be integer/s);
    assert.throws(
      () => validate({ ...find(documents, 'ScaledObject'), spec: { triggers: [] } }),
      /scaleTargetRef/,
    );
  });

  it('find a field that is not known, however deep', async () => {
    const documents = await render({ scenario: 'minimal' });
    const { pod } = workload(documents, 'worker');
    Object.assign(pod.containers[0] ?? {}, { livenessprobe: {} });
    const document = {
      ...find(documents, 'Deployment'),
      spec: { selector: {}, template: { metadata: {}, spec: pod } },
    };
    assert.match(await typeErrors([{ name: 'wrong', document }]), /livenessprobe/);
  });
});

function find(documents: readonly Document[], kind: string): Document {
  const found = documents.find((document) => document.kind === kind);
  assert.ok(found, kind);
  return found;
}

function nameOf({ kind, metadata }: Document): string {
  return `${kind} ${metadata.name}`;
}

function sorted(documents: readonly Document[]): Document[] {
  return documents.toSorted((one, other) => nameOf(one).localeCompare(nameOf(other)));
}
