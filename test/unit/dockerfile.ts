import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { apiSettings } from 'glyphmill-api/config';
import { webhookSettings } from 'glyphmill-webhook/config';
import { workerSettings } from 'glyphmill-worker/config';

// What a Dockerfile says, for the tests of the images and of the compose file.

export const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url));

/** Each app that has an image, and the settings its process reads. */
export const imageSettings = { api: apiSettings, webhook: webhookSettings, worker: workerSettings };
export type ImageApp = keyof typeof imageSettings;
export const imageApps: readonly ImageApp[] = ['api', 'webhook', 'worker'];

/** One instruction: comments gone, continued lines joined by a space. */
export interface Step {
  keyword: string;
  args: string;
}

export interface Stage {
  name: string;
  /** An image, or an earlier stage. */
  from: string;
  steps: readonly Step[];
}

export function dockerfileText(app: ImageApp): string {
  return readFileSync(`${repositoryRoot}apps/${app}/Dockerfile`, 'utf8');
}

/** The stages of an app's Dockerfile in their order. Throws where a line is no instruction. */
export function stagesOf(app: ImageApp): Stage[] {
  const stages: (Stage & { steps: Step[] })[] = [];
  for (const step of stepsOf(dockerfileText(app))) {
    const from = step.keyword === 'FROM' ? /^(\S+)(?: AS (\S+))?$/.exec(step.args) : null;
    if (from) stages.push({ from: from[1] ?? '', name: from[2] ?? '', steps: [] });
    else stages.at(-1)?.steps.push(step);
  }
  return stages;
}

/** Every image that is built: of an app, by the stage that is its target. */
export const images: readonly { app: ImageApp; target: string }[] = [
  { app: 'api', target: 'api' },
  { app: 'webhook', target: 'webhook' },
  { app: 'worker', target: 'cpu' },
  { app: 'worker', target: 'cuda' },
];

/** The stage that is built by default, the last, or the one that is named. */
export function finalStage(app: ImageApp, target?: string): Stage {
  const stage = stagesOf(app)
    .filter(({ name }) => target === undefined || name === target)
    .at(-1);
  if (stage === undefined) throw new Error(`apps/${app}/Dockerfile has no stage ${target ?? ''}`);
  return stage;
}

export function argsOf(stage: Stage, keyword: string): string[] {
  return stage.steps.filter((step) => step.keyword === keyword).map(({ args }) => args);
}

/** The environment that the image gives its process. */
export function imageEnvironment(app: ImageApp, target?: string): Record<string, string> {
  const pairs = argsOf(finalStage(app, target), 'ENV').flatMap((args) => args.split(/\s+/));
  return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0] ?? '', pair.split('=')[1] ?? '']));
}

function stepsOf(text: string): Step[] {
  const lines = text.split('\n').filter((line) => !/^\s*#/.test(line));
  const instructions = lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  return instructions
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const found = /^([A-Z]+)\s+(.*)$/.exec(line);
      if (!found) throw new Error(`expected an instruction, found ${JSON.stringify(line)}`);
      return { keyword: found[1] ?? '', args: found[2] ?? '' };
    });
}
