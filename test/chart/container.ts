import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { typescriptArgs } from '@glyphmill/inference/typescript-args';
import { type ImageApp, imageEnvironment, repositoryRoot } from '../unit/dockerfile.ts';
import { appProbes, type Container, environmentOf, type Probe } from './workloads.ts';

// Runs a rendered container as a plain process of this machine: its command, arguments, folder, environment and probes.

export interface ContainerOptions {
  container: Container;
  secrets: Record<string, Record<string, string>>;
  /** Whose image it runs in, for what the image adds to the environment. */
  image: ImageApp;
  /** What stands in the container's variables, and here instead: mounted folders, names of services. */
  places: Record<string, string>;
}

export interface RunningContainer {
  child: ChildProcess;
  /** All it has written. */
  output(): string;
  exited: Promise<number | null>;
}

/** Starts it; the image's root /app is this checkout. */
export function startContainer({ container, secrets, image, places }: ContainerOptions): RunningContainer {
  const { LD_PRELOAD: _, ...imageOwn } = imageEnvironment(image);
  const environment = Object.fromEntries(
    Object.entries(environmentOf(container, secrets)).map(([name, value]) => [name, moved(value, places)]),
  );
  const [command, ...args] = [...container.command, ...container.args];
  if (command !== 'node') throw new Error(`expected node, found ${command}`);
  const child = spawn(process.execPath, [...typescriptArgs(), ...args], {
    cwd: join(repositoryRoot, (container.workingDir ?? '/app').replace('/app', '.')),
    env: { PATH: process.env.PATH, ...imageOwn, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const exited = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
  return { child, exited, output: () => Buffer.concat(chunks).toString() };
}

function moved(value: string, places: Record<string, string>): string {
  return Object.entries(places).reduce((text, [from, to]) => text.replace(from, to), value);
}

export type ProbeName = 'startupProbe' | 'readinessProbe' | 'livenessProbe';

/** What a probe's request answers: its status, or 0 where nobody does within the probe's time. */
export async function probe(container: Container, name: ProbeName): Promise<number> {
  const { httpGet, timeoutSeconds } = probeOf(container, name);
  const port = container.ports.find((candidate) => candidate.name === httpGet.port)?.containerPort;
  if (port === undefined) throw new Error(`${name} names port ${httpGet.port}, which the container has not`);
  const signal = AbortSignal.timeout(timeoutSeconds * 1000);
  return fetch(`http://127.0.0.1:${port}${httpGet.path}`, { signal }).then(
    ({ status }) => status,
    () => 0,
  );
}

/** How long the kubelet would wait before it gives up. */
export function patienceMs(container: Container, name: ProbeName): number {
  const { periodSeconds, failureThreshold } = probeOf(container, name);
  return periodSeconds * failureThreshold * 1000;
}

function probeOf(container: Container, name: ProbeName): Probe {
  return appProbes.parse(container)[name];
}
