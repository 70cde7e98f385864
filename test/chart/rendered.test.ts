import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { defaultLimits } from '@glyphmill/inference/limits';
import { parse } from 'yaml';
import { z } from 'zod';
import { argsOf, finalStage, imageApps } from '../unit/dockerfile.ts';
import { chartDir, type Document, notes, render, scenarios } from './helm.ts';
import { appProbes, mainContainer, podsOf, type Workload, workload, workloadsOf } from './workloads.ts';

const rendered = new Map<string, Document[]>();
for (const scenario of scenarios) rendered.set(scenario, await render({ scenario }));

function documentsOf(scenario: string): Document[] {
  return rendered.get(scenario) ?? assert.fail(`no scenario ${scenario}`);
}

const specOf = (document: Document | undefined) => z.looseObject({}).parse(document?.spec);

function find(documents: readonly Document[], kind: string, name: string): Document | undefined {
  return documents.find((document) => document.kind === kind && document.metadata.name.endsWith(name));
}

describe('pods of every scenario', () => {
  for (const scenario of scenarios) {
    const documents = documentsOf(scenario);

    it(`may do no more than they must: ${scenario}`, () => {
      for (const pod of podsOf(documents)) {
        assert.equal(pod.automountServiceAccountToken, false);
        assert.deepEqual(pod.securityContext, {
          runAsNonRoot: true,
          runAsUser: 10001,
          runAsGroup: 10001,
          fsGroup: 10001,
          fsGroupChangePolicy: 'OnRootMismatch',
          seccompProfile: { type: 'RuntimeDefault' },
        });
        for (const container of [...pod.initContainers, ...pod.containers]) {
          assert.deepEqual(container.securityContext, {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          assert.ok('memory' in container.resources.limits, container.name);
          assert.match(container.image, /:[\w.-]+$|@sha256:/);
        }
        const volumes = pod.volumes.map(({ name }) => name);
        for (const { name } of pod.containers.flatMap(({ volumeMounts }) => volumeMounts))
          assert.ok(volumes.includes(name) || name === 'data', name);
      }
    });

    it(`get longer to stop than they take, and workers longer than a micro-batch: ${scenario}`, () => {
      for (const app of imageApps) {
        const { pod } = workload(documents, app);
        const drain = numberOf(workload(documents, app), 'SHUTDOWN_SECONDS');
        assert.ok((pod.terminationGracePeriodSeconds ?? 30) > drain, app);
      }
      const drain = numberOf(workload(documents, 'worker'), 'SHUTDOWN_SECONDS');
      assert.ok(drain > defaultLimits.runTimeoutMs / 1000, `${drain} s`);
    });

    it(`run what their images run: ${scenario}`, () => {
      for (const app of imageApps) {
        const container = mainContainer(workload(documents, app));
        const stage = finalStage(app);
        const list = (keyword: string) =>
          z.array(z.string()).parse(JSON.parse(argsOf(stage, keyword)[0] ?? ''));
        assert.deepEqual([container.command, container.args], [list('ENTRYPOINT'), list('CMD')]);
        assert.equal(container.workingDir, argsOf(stage, 'WORKDIR').at(-1));
        appProbes.parse(container);
      }
    });

    it(`are found by every selector: ${scenario}`, () => {
      const pods = workloadsOf(documents).map(({ labels }) => labels);
      const services = documents.flatMap(({ kind, metadata }) =>
        kind === 'Service' ? [metadata.labels] : [],
      );
      for (const document of documents) {
        const [among, most] = document.kind === 'ServiceMonitor' ? [services, 2] : [pods, 1];
        for (const selector of selectorsOf(document)) {
          const found = among.filter((of) =>
            Object.entries(selector).every(([key, value]) => of[key] === value),
          );
          assert.equal(found.length, most, `${document.kind} ${document.metadata.name}`);
        }
      }
    });

    it(`hold no secret: ${scenario}`, () => {
      assert.ok(!documents.some(({ kind }) => kind === 'Secret'));
      for (const { env } of podsOf(documents).flatMap(({ containers }) => containers))
        for (const { name, value } of env)
          if (/KEY|PASSWORD|SECRET|TOKEN/.test(name) && name !== 'API_KEYS_FILE')
            assert.equal(value, undefined, name);
    });
  }
});

describe('scaling', () => {
  it('leaves the number of pods to whoever scales, and only then', () => {
    for (const scenario of scenarios) {
      const documents = documentsOf(scenario);
      const scaled = ['hpa', 'keda', 'full'].includes(scenario);
      assert.equal(workload(documents, 'worker').replicas === undefined, scaled, scenario);
      assert.equal(workload(documents, 'api').replicas === undefined, scenario === 'hpa', scenario);
    }
  });

  it('reckons with seconds of queue for each worker, under an HPA', () => {
    const spec = specOf(find(documentsOf('hpa'), 'HorizontalPodAutoscaler', 'worker'));
    assert.deepEqual(spec.metrics, [
      {
        type: 'External',
        external: {
          metric: { name: 'ocr_backlog_seconds', selector: { matchLabels: { namespace: 'ocr' } } },
          target: { type: 'AverageValue', averageValue: '60' },
        },
      },
    ]);
    assert.deepEqual(spec.scaleTargetRef, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      name: 'release-glyphmill-worker',
    });
  });

  it('asks the API, under KEDA, and keeps what runs when it does not answer', () => {
    const spec = specOf(find(documentsOf('keda'), 'ScaledObject', 'worker'));
    const trigger = z
      .array(z.looseObject({ metadata: z.record(z.string(), z.string()) }))
      .parse(spec.triggers)[0];
    assert.equal(spec.minReplicaCount, 0);
    assert.deepEqual(spec.fallback, {
      failureThreshold: 4,
      replicas: 2,
      behavior: 'currentReplicasIfHigher',
    });
    assert.deepEqual(trigger?.metadata, {
      url: 'http://release-glyphmill-api.ocr.svc:80/v1/queues/documents/scaling',
      valueLocation: 'backlogSeconds',
      targetValue: '120',
      authMode: 'bearer',
    });
  });

  it('grows no faster than models load, and shrinks slowly', () => {
    for (const [scenario, kind, path] of [
      ['hpa', 'HorizontalPodAutoscaler', []],
      ['keda', 'ScaledObject', ['advanced', 'horizontalPodAutoscalerConfig']],
    ] as const) {
      let at: Record<string, unknown> = specOf(find(documentsOf(scenario), kind, 'worker'));
      for (const key of path) at = z.looseObject({}).parse(at[key]);
      assert.deepEqual(at.behavior, {
        scaleUp: { stabilizationWindowSeconds: 0, policies: [{ type: 'Pods', value: 4, periodSeconds: 60 }] },
        scaleDown: {
          stabilizationWindowSeconds: 600,
          policies: [{ type: 'Pods', value: 1, periodSeconds: 120 }],
        },
      });
    }
  });
});

describe('workers with GPUs', () => {
  it('ask for the resource that is named, tolerate its nodes, and do not wait for a second one to be replaced', () => {
    for (const [scenario, resource, count] of [
      ['gpu', 'nvidia.com/gpu', 1],
      ['gpu-mig', 'nvidia.com/mig-1g.10gb', 1],
      ['keda', 'nvidia.com/gpu.shared', 1],
      ['full', 'nvidia.com/gpu', 2],
    ] as const) {
      const found = workload(documentsOf(scenario), 'worker');
      const container = mainContainer(found);
      assert.equal(container.resources.limits[resource], count, scenario);
      assert.match(container.image, /-cuda$/);
      assert.equal(container.env.find(({ name }) => name === 'INFERENCE_PROVIDER')?.value, 'cuda');
      const tolerations = z.array(z.looseObject({ key: z.string() })).parse(found.pod.tolerations);
      assert.equal(tolerations[0]?.key, 'nvidia.com/gpu');
      const deployment = specOf(find(documentsOf(scenario), 'Deployment', 'worker'));
      assert.deepEqual(deployment.strategy, { rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } });
    }
  });
});

describe('the monitoring', () => {
  const read = (path: string) => readFileSync(join(chartDir, 'files', path), 'utf8');

  it('has the alert rules as the file has them, braces and all', () => {
    const { groups } = z.object({ groups: z.array(z.unknown()).min(1) }).parse(parse(read('alerts.yaml')));
    for (const scenario of ['hpa', 'full'])
      assert.deepEqual(specOf(find(documentsOf(scenario), 'PrometheusRule', '')).groups, groups);
  });

  it('has the dashboards as the files have them', () => {
    const { data } = z
      .looseObject({ data: z.record(z.string(), z.string()) })
      .parse(find(documentsOf('full'), 'ConfigMap', 'dashboards'));
    const files = readdirSync(join(chartDir, 'files/dashboards'));
    assert.deepEqual(Object.keys(data), files);
    for (const name of files)
      assert.deepEqual(JSON.parse(data[name] ?? ''), JSON.parse(read(`dashboards/${name}`)));
  });
});

describe('what is optional', () => {
  it('is left out unless asked for, or known to the cluster', async () => {
    const kinds = (documents: Document[]) => new Set(documents.map(({ kind }) => kind));
    const plain = kinds(documentsOf('minimal'));
    for (const kind of [
      'Ingress',
      'HTTPRoute',
      'NetworkPolicy',
      'ScaledObject',
      'ServiceMonitor',
      'ConfigMap',
      'Pod',
    ])
      assert.ok(!plain.has(kind), kind);
    const args = ['--api-versions', 'monitoring.coreos.com/v1'];
    const known = kinds(await render({ scenario: 'minimal', args }));
    for (const kind of ['ServiceMonitor', 'PodMonitor', 'PrometheusRule']) assert.ok(known.has(kind), kind);
    const never = await render({
      scenario: 'minimal',
      args,
      set: { 'monitoring.prometheusOperator': 'never' },
    });
    assert.deepEqual(kinds(never), plain);
  });

  it('brings a Valkey that keeps what it accepts, and only where it is enabled', () => {
    for (const scenario of scenarios) {
      const found = workloadsOf(documentsOf(scenario)).filter(({ component }) => component === 'valkey');
      assert.equal(found.length, ['minimal', 'full'].includes(scenario) ? 1 : 0, scenario);
      for (const { args } of found.map(mainContainer)) {
        const option = (name: string) => args[args.indexOf(`--${name}`) + 1];
        assert.equal(option('appendonly'), 'yes');
        assert.equal(option('maxmemory-policy'), 'noeviction');
        assert.equal(option('requirepass'), '$(REDISCLI_AUTH)');
      }
    }
  });

  it('is told of after an install, with commands that name what is there', async () => {
    for (const scenario of ['minimal', 'keda', 'hpa', 'full']) {
      const text = await notes({ scenario });
      const names = new Set(
        documentsOf(scenario).map(({ kind, metadata }) => `${kind} ${metadata.name}`.toLowerCase()),
      );
      const named = [...text.matchAll(/(deployment|service)\/(\S+)/g)].map(
        ([, kind, name]) => `${kind} ${name}`,
      );
      const autoscaler = /describe (scaledobject|hpa) (\S+)/.exec(text);
      assert.equal(autoscaler !== null, scenario !== 'minimal', scenario);
      if (autoscaler !== null)
        named.push(`${autoscaler[1]?.replace('hpa', 'horizontalpodautoscaler')} ${autoscaler[2]}`);
      assert.ok(named.length >= 4, scenario);
      for (const name of named) assert.ok(names.has(name), `${scenario}: ${name}`);
    }
  });

  it('keeps the metadata service of clouds out of reach under a network policy', () => {
    for (const app of imageApps) {
      const spec = specOf(find(documentsOf('air-gapped'), 'NetworkPolicy', app));
      const rules = JSON.stringify(spec.egress);
      assert.match(rules, /"cidr":"0\.0\.0\.0\/0","except":\["169\.254\.169\.254\/32"\]/);
    }
  });
});

function numberOf(found: Workload, name: string): number {
  return Number(mainContainer(found).env.find((entry) => entry.name === name)?.value);
}

/** The labels by which an object chooses pods. */
function selectorsOf({ kind, spec }: Document): Record<string, string>[] {
  const labels = z.record(z.string(), z.string());
  const { selector, podSelector } = z.looseObject({}).parse(spec ?? {});
  if (kind === 'Service') return [labels.parse(selector)];
  return [selector, podSelector].flatMap((found) => {
    const parsed = z.object({ matchLabels: labels }).safeParse(found);
    return parsed.success ? [parsed.data.matchLabels] : [];
  });
}
