import { constants } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { cpuBudget } from '@glyphmill/inference/threads';
import { type Check, type DoctorContext, fail, findProgram, may, ok, warn } from './doctor-check.ts';
import { expectFree } from './free-ports.ts';

/** The floor of package.json's `engines`. */
const oldestNode = { major: 20, minor: 19 };
/** The oldest release line that still gets security fixes. */
const oldestKeptNode = 22;
/** Models and a few jobs; the embedded Redis and S3 store grow with what they are given. */
const fewFreeBytes = 200e6;
const scarceFreeBytes = 2e9;
/** What `glyphmill start` takes unless told otherwise: the API, S3, and metrics of API, worker and webhook. */
const startPorts = [8080, 9000, 9090, 9091, 9092];

/** Node, its platform, the limits on children, cores, disk and ports. */
export async function checkMachine({ env, dataDir }: DoctorContext): Promise<Check[]> {
  return [
    checkNode(process.versions.node),
    checkPlatform(),
    await checkLimits(env.PATH ?? ''),
    checkCpu(),
    await checkDisk(dataDir),
    await checkPorts(),
  ];
}

function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const { major: least, minor: leastMinor } = oldestNode;
  if (major < least || (major === least && minor < leastMinor))
    return fail('node', `Node ${version} is too old. Install Node ${least}.${leastMinor} or later`);
  if (major < oldestKeptNode)
    return warn('node', `Node ${version} runs, but gets no more security fixes. Use Node 22 or 24`);
  return ok('node', `Node ${version}`);
}

function checkPlatform(): Check {
  const found = `${process.platform} ${process.arch}`;
  if (process.platform === 'linux') return ok('platform', found);
  return warn('platform', `${found}: good for development. Run production on Linux`);
}

async function checkLimits(searchPath: string): Promise<Check> {
  const path = await findProgram(['prlimit'], searchPath);
  if (path !== undefined) return ok('limits', `prlimit bounds the memory of decoding children (${path})`);
  if (process.platform === 'linux')
    return fail('limits', 'there is no prlimit on PATH, and decoding needs it. Install util-linux');
  return warn('limits', `${process.platform} has no prlimit: a hostile image can use up the memory here`);
}

function checkCpu(): Check {
  const cores = availableParallelism();
  const budget = cpuBudget();
  const bound = budget < cores ? `, bounded to ${budget} by the cgroup's quota` : '';
  return ok('cpu', `${cores} ${cores === 1 ? 'core' : 'cores'}${bound}: that many runs at once on the CPU`);
}

async function checkDisk(dataDir: string): Promise<Check> {
  const folder = await nearestFolder(resolve(dataDir));
  if (!(await may(folder, constants.W_OK)))
    return fail('disk', `${folder} cannot be written. Give another place with --data-dir`);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const message = `${(free / 1e9).toFixed(1)} GB free for ${dataDir}`;
  if (free < fewFreeBytes)
    return fail('disk', `only ${message}. Free some, or give another place with --data-dir`);
  if (free < scarceFreeBytes) return warn('disk', `${message}: few for a queue and documents. Free some`);
  return ok('disk', message);
}

/** The folder itself, or the nearest above it that is there. */
async function nearestFolder(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() || dirname(path) === path ? path : nearestFolder(dirname(path));
}

/** No failure: the ports can be chosen, and the system may be running already. */
async function checkPorts(): Promise<Check> {
  const taken: number[] = [];
  for (const port of startPorts) await expectFree(port, '').catch(() => taken.push(port));
  if (taken.length === 0) return ok('ports', `${startPorts.join(', ')} are free for "glyphmill start"`);
  return warn(
    'ports',
    `taken: ${taken.join(', ')}. Unless that is Glyphmill itself, start it with other ones: --port, --s3-port, --metrics-port`,
  );
}
