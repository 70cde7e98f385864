// The cases done with the SDK for TypeScript, in Node and in a browser: nothing in here is of one of them alone.
import {
  type CreateBatchOptions,
  type CreateJobOptions,
  Glyphmill,
  type GlyphmillOptions,
  type Input,
  ProblemError,
  type RecognizeOptions,
} from 'glyphmill';
import type { Assignment, CaseInput, Json, KeyName, Outcome, Step } from './case.ts';

/** What this place has that others have not. */
export interface Place {
  /** A file with this text, by its path. */
  writeFile?: ((text: string) => Promise<string>) | undefined;
  imageData?: ((width: number, height: number) => Input) | undefined;
}

const casesAtOnce = 16;

export async function runAssignments(assignments: Assignment[], place: Place): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const left = [...assignments.entries()];
  async function work(): Promise<void> {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, assignment] = next;
      outcomes[index] = await runAssignment(assignment, place);
    }
  }
  await Promise.all(Array.from({ length: casesAtOnce }, work));
  return outcomes;
}

async function runAssignment(assignment: Assignment, place: Place): Promise<Outcome> {
  const kept: Record<string, Json> = {};
  let value: Json = null;
  try {
    for (const step of assignment.steps) {
      value = plain(await perform(clientOf(assignment, step.key), filled(step, kept), place));
      if (step.as !== undefined) kept[step.as] = value;
    }
    return { value, kept };
  } catch (error) {
    return { kept, error: describe(error) };
  }
}

function clientOf({ baseUrl, keys, client }: Assignment, key: KeyName = 'owner'): Glyphmill {
  const options: GlyphmillOptions = { baseUrl, apiKey: keys[key], ...client };
  return new Glyphmill(options);
}

function describe(error: unknown): NonNullable<Outcome['error']> {
  if (error instanceof ProblemError) {
    const { name, message, code, status } = error;
    return { name, message, code, status };
  }
  if (error instanceof Error) {
    const status = 'status' in error ? Number(error.status) : undefined;
    return { name: error.name, message: error.stack ?? error.message, status };
  }
  return { name: typeof error, message: String(error) };
}

/** Only what would be sent: also shows that handles are what the API said, as JSON. */
function plain(value: unknown): Json {
  return value === undefined ? null : JSON.parse(JSON.stringify(value));
}

/** The step with what earlier ones gave in the places that ask for it. */
export function filled(step: Step, kept: Record<string, Json>): Step {
  return JSON.parse(JSON.stringify(step), (_name, value) => {
    const path = typeof value === 'string' ? /^\$(\w+(?:\.\w+)*)$/.exec(value)?.[1] : undefined;
    return path === undefined ? value : lookUp(kept, path);
  });
}

export function lookUp(kept: Record<string, Json>, path: string): Json {
  return path.split('.').reduce<Json>((value, name) => {
    const found = Object.entries(Object(value)).find(([key]) => key === name)?.[1];
    return found === undefined ? null : JSON.parse(JSON.stringify(found));
  }, kept);
}

async function perform(client: Glyphmill, step: Step, place: Place): Promise<unknown> {
  const { id = '', number = 0 } = step;
  const options: Record<string, Json> = step.options ?? {};
  switch (step.do) {
    case 'recognize': {
      const settings: RecognizeOptions = { ...options };
      return await client.recognize(await toInput(step.input, place), settings);
    }
    case 'models':
      return await client.models();
    case 'limits':
      return await client.limits();
    case 'uploads.create':
      return await client.uploads.create({ contentType: 'image/png', sizeBytes: 10, ...options });
    case 'uploads.send':
      return await client.uploads.send(await toInput(step.input, place));
    case 'webhooks.unwrap': {
      const { body, headers, secret, nowMs } = step.webhook ?? {
        body: '',
        headers: {},
        secret: '',
        nowMs: 0,
      };
      return await client.webhooks.unwrap(body, headers, secret, { nowMs });
    }
    case 'jobs.create': {
      const settings: CreateJobOptions = { ...options };
      return await client.jobs.create(await toInput(step.input, place), settings);
    }
    case 'jobs.get':
      return await client.jobs.get(id);
    case 'jobs.list':
      return await all(client.jobs.list({ ...options }));
    case 'jobs.cancel':
      return await client.jobs.cancel(id);
    case 'jobs.retry':
      return await client.jobs.retry(id);
    case 'jobs.delete':
      return await client.jobs.delete(id, { ...options });
    case 'jobs.result':
      return await client.jobs.result(id);
    case 'jobs.text':
      return await client.jobs.text(id);
    case 'jobs.pages':
      return await all(client.jobs.pages(id));
    case 'jobs.page':
      return await client.jobs.page(id, number);
    case 'jobs.events':
      return await all(client.jobs.events(id, { ...options }));
    case 'jobs.wait':
      return await client.jobs.wait(id, { ...options });
    case 'batches.create': {
      const items = step.items && (await Promise.all(step.items.map((item) => toItem(item, place))));
      const settings: CreateBatchOptions = { ...options, ...(items && { items }) };
      return await client.batches.create(settings);
    }
    case 'batches.get':
      return await client.batches.get(id);
    case 'batches.list':
      return await all(client.batches.list());
    case 'batches.items':
      return await all(client.batches.items(id, { ...options }));
    case 'batches.results':
      return await all(client.batches.results(id));
    case 'batches.cancel':
      return await client.batches.cancel(id);
    case 'batches.retryFailed':
      return await client.batches.retryFailed(id);
    case 'batches.wait':
      return await client.batches.wait(id, { ...options });
  }
}

async function toItem({ input, ...rest }: NonNullable<Step['items']>[number], place: Place) {
  return { ...rest, source: await toInput(input, place) };
}

async function toInput(input: CaseInput | undefined, place: Place): Promise<Input> {
  if (input === undefined) throw new Error('expected the case to have an input');
  if ('bytes' in input) return new TextEncoder().encode(input.bytes);
  if ('filler' in input) return new Uint8Array(input.filler).fill(120);
  if ('url' in input) return input.url;
  if ('s3' in input) return input.s3;
  if ('stream' in input) return new Blob([input.stream]).stream();
  if ('file' in input) return new File([input.file], 'scan.png', { type: 'image/png' });
  if ('source' in input) return JSON.parse(JSON.stringify(input.source));
  if ('path' in input) {
    if (place.writeFile === undefined) return './scan.png';
    return await place.writeFile(input.path);
  }
  if (place.imageData === undefined) throw new Error('there are no pictures here');
  return place.imageData(input.picture.width, input.picture.height);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
