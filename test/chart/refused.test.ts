import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { template } from './helm.ts';
import { helmReleases } from './helm-binary.ts';

// Wrong values, each with what must be said about it: the key that is wrong, and what to do.

interface Wrong {
  what: string;
  scenario?: string;
  set: Record<string, unknown>;
  says: RegExp;
}

const wrong: Wrong[] = [
  {
    what: 'no API keys',
    set: { 'apiKeys.existingSecret': '' },
    says: /apiKeys\.existingSecret is empty: make a key with `glyphmill key create/,
  },
  {
    what: 'no signing key of webhooks',
    set: { 'webhookSigning.existingSecret': '' },
    says: /webhookSigning\.existingSecret is empty: make it with `kubectl create secret/,
  },
  {
    what: 'one signing key twice',
    set: { 'webhookSigning.previousKey': 'WEBHOOK_SIGNING_KEY' },
    says: /webhookSigning\.previousKey is the same .* put the old signing key under a key of its own/,
  },
  {
    what: 'headers for no collector',
    set: { 'tracing.existingSecret': 'glyphmill-tracing' },
    says: /tracing\.existingSecret is set and config\.OTEL_EXPORTER_OTLP_ENDPOINT is not: name the collector/,
  },
  { what: 'no Redis', set: { 'valkey.enabled': false }, says: /no Redis is named: set redis\.host/ },
  {
    what: 'two Redis',
    set: { 'redis.host': 'redis.example.com' },
    says: /valkey\.enabled is true and redis\.host .*: set valkey\.enabled to false/,
  },
  {
    what: 'a bundled Valkey without a password',
    set: { 'redis.existingSecret': '' },
    says: /valkey\.enabled needs a password: make it with `kubectl create secret/,
  },
  {
    what: 'a URL in no Secret',
    scenario: 'keda',
    set: { 'redis.existingSecret': '' },
    says: /redis\.urlKey is set without redis\.existingSecret: name the Secret/,
  },
  {
    what: 'a host besides a whole URL',
    scenario: 'keda',
    set: { 'redis.host': 'redis.example.com' },
    says: /redis\.host and redis\.tls count for nothing: put them into the URL/,
  },
  {
    what: 'certificates in two places',
    scenario: 'air-gapped',
    set: { 'caBundle.existingSecret': 'ca' },
    says: /caBundle\.existingSecret and .* both set: put all certificates into one/,
  },
  {
    what: 'a grace that ends before the worker does',
    set: { 'worker.terminationGracePeriodSeconds': 60 },
    says: /worker\.terminationGracePeriodSeconds is 60: it must exceed the 60 s .* raise it to 75/,
  },
  {
    what: 'a grace that ends before the API does, its preStop counted',
    set: { 'api.terminationGracePeriodSeconds': 30 },
    says: /api\.terminationGracePeriodSeconds is 30: it must exceed the 30 s .* raise it to 45/,
  },
  {
    what: 'a drain shorter than a micro-batch',
    set: { 'worker.config.SHUTDOWN_SECONDS': 35 },
    says: /worker\.config\.SHUTDOWN_SECONDS is 35: it must exceed worker\.longestBatchSeconds .* Raise it/,
  },
  {
    what: 'a port that nobody knows',
    set: { 'webhook.config.METRICS_PORT': 0 },
    says: /webhook\.config\.METRICS_PORT is 0, a port that nobody knows: name one/,
  },
  {
    what: 'one port twice',
    set: { 'api.config.METRICS_PORT': 8080 },
    says: /API_PORT and api\.config\.METRICS_PORT are the same: give each/,
  },
  {
    what: 'a setting among the extra variables',
    set: { 'worker.extraEnv': [{ name: 'DECODERS', value: '4' }] },
    says: /worker\.extraEnv names DECODERS.*: set it under worker\.config/,
  },
  {
    what: 'a secret among the extra variables',
    set: { 'api.extraEnv': [{ name: 'REDIS_URL', value: 'redis://redis' }] },
    says: /api\.extraEnv names REDIS_URL.* a secret by the values under `redis`/,
  },
  {
    what: 'two MIG slices for one worker',
    scenario: 'gpu-mig',
    set: { 'worker.gpu.count': 2 },
    says: /worker\.gpu\.count is 2 of nvidia\.com\/mig-1g\.10gb.* Set it to 1 and raise worker\.replicas/,
  },
  {
    what: 'a GPU among the plain resources',
    scenario: 'gpu',
    set: { 'worker.resources.limits': { cpu: '6', memory: '8Gi', 'nvidia.com/gpu': 1 } },
    says: /worker\.resources\.limits names nvidia\.com\/gpu: set worker\.gpu\.resource/,
  },
  {
    what: 'a CPU worker that may use the whole node',
    set: { 'worker.resources.limits.cpu': null },
    says: /worker\.resources\.limits\.cpu is not set.* Set it to whole CPUs/,
  },
  {
    what: 'a worker without a bound on its memory',
    set: { 'worker.resources.limits.memory': null },
    says: /worker\.resources\.limits\.memory is not set.*set 3Gi/,
  },
  {
    what: 'more CPU asked for than granted',
    set: { 'worker.resources.requests.cpu': '2500m' },
    says: /worker\.resources\.requests\.cpu exceeds worker\.resources\.limits\.cpu.*: raise the limit/,
  },
  {
    what: 'models at a relative path',
    set: { 'worker.config.MODEL_REPOSITORY': 'models' },
    says: /MODEL_REPOSITORY is no absolute path.* leave it at \/models/,
  },
  {
    what: 'models of no volume',
    set: { 'worker.models.delivery': 'pvc' },
    says: /worker\.models\.pvc\.existingClaim is empty: name the claim/,
  },
  {
    what: 'models of no image',
    set: { 'worker.models.delivery': 'image' },
    says: /worker\.models\.image\.reference is empty: name the OCI image/,
  },
  {
    what: 'models of any archive',
    scenario: 'air-gapped',
    set: { 'worker.models.download.sha256': '' },
    says: /worker\.models\.download\.sha256 is empty: set it to what `sha256sum` prints/,
  },
  {
    what: 'models of no address',
    scenario: 'air-gapped',
    set: { 'worker.models.download.url': '' },
    says: /worker\.models\.download\.url is empty: name the \.tar\.gz/,
  },
  {
    what: 'an HPA down to none',
    scenario: 'hpa',
    set: { 'worker.autoscaling.minReplicas': 0 },
    says: /minReplicas is 0 with mode hpa.*: set it to 1, or use mode keda/,
  },
  {
    what: 'more pods at least than at most',
    scenario: 'hpa',
    set: { 'worker.autoscaling.minReplicas': 30 },
    says: /minReplicas exceeds worker\.autoscaling\.maxReplicas: lower the one/,
  },
  {
    what: 'KEDA without an API key',
    scenario: 'keda',
    set: { 'worker.autoscaling.keda.existingSecret': '' },
    says: /keda\.existingSecret is empty: make an API key with .*scaling:read/,
  },
  {
    what: 'a fallback above the most pods',
    scenario: 'keda',
    set: { 'worker.autoscaling.keda.fallbackReplicas': 9 },
    says: /fallbackReplicas exceeds worker\.autoscaling\.maxReplicas: lower it/,
  },
  {
    what: 'an Ingress for every host',
    set: { 'api.ingress.enabled': true },
    says: /api\.ingress\.hosts is empty: name the hosts/,
  },
  {
    what: 'a route of no Gateway',
    set: { 'api.httpRoute.enabled': true },
    says: /api\.httpRoute\.parentRefs is empty: name the Gateway/,
  },
  {
    what: 'an autoscaler of the API with nothing to reckon in',
    scenario: 'hpa',
    set: { 'api.resources.requests.cpu': null },
    says: /api\.resources\.requests\.cpu is not set: .* set it/,
  },
  // What the schema refuses: the message names the key and what is allowed there.
  { what: 'a misspelt key', set: { 'worker.replica': 3 }, says: /replica.* not allowed/i },
  {
    what: 'a setting of another process',
    set: { 'api.config.DECODERS': 4 },
    says: /DECODERS.* not allowed/i,
  },
  { what: 'a secret as a value', set: { 'config.REDIS_URL': 'redis://x' }, says: /REDIS_URL.* not allowed/i },
  {
    what: 'two autoscalers',
    set: { 'worker.autoscaling.mode': 'both' },
    says: /worker.autoscaling.mode.*('none', 'hpa', 'keda'|"none", "hpa", "keda")/s,
  },
  { what: 'a number beyond its bounds', set: { 'worker.config.DECODERS': 65 }, says: /DECODERS.*64/s },
  {
    what: 'a number in words',
    set: { 'worker.config.MAX_PAGES': 'many' },
    says: /MAX_PAGES.*(integer|number)/s,
  },
  { what: 'half a digest', set: { 'api.image.digest': 'sha256:abc' }, says: /api.image.digest.*sha256/s },
];

const failure = z.object({ stderr: z.string() });

describe('wrong values', () => {
  it('are at least twenty', () => {
    assert.ok(wrong.length >= 20);
  });

  for (const { what, scenario = 'minimal', set, says } of wrong)
    it(`are refused with what to do: ${what}`, async () => {
      for (const release of helmReleases) {
        const said = await template({ release, scenario, set }).then(
          () => assert.fail(`Helm ${release.version} rendered it`),
          (error: unknown) => failure.parse(error).stderr,
        );
        assert.match(said, says, `Helm ${release.version}`);
      }
    });

  it('are refused by the version of Kubernetes too', async () => {
    const rendering = template({ scenario: 'gpu-mig', args: ['--kube-version', '1.30.0'] });
    await assert.rejects(rendering, /1\.30\.0 has no image volumes .*: use baked, pvc or download/);
    const part = template({ scenario: 'gpu-mig', args: ['--kube-version', '1.32.0'] });
    await assert.rejects(part, /1\.32\.0 cannot mount a part of an image volume .*: leave it empty/);
  });
});
