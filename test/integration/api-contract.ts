import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { z } from 'zod';

interface SeenAnswer {
  status: number;
  headers: Headers;
  text: string;
}

/** Fails when an answer is not what the API's own OpenAPI document promises. */
export type ContractCheck = (seen: { method: string; path: string; answer: SeenAnswer }) => void;

const documentSchema = z.object({
  openapi: z.string(),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        responses: z.record(z.string(), z.object({ content: z.record(z.string(), z.unknown()).optional() })),
      }),
    ),
  ),
});

export function createContractCheck(document: unknown): ContractCheck {
  const { paths } = documentSchema.parse(document);
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  ajv.addSchema({ ...z.record(z.string(), z.unknown()).parse(document), $id: 'api' });

  return ({ method, path, answer }) => {
    const seen = `${method} ${path} → ${answer.status}`;
    const type = answer.headers.get('content-type')?.split(';', 1)[0] ?? '';
    const requestId = answer.headers.get('x-request-id');
    assert.ok(requestId, `${seen} bears no X-Request-Id`);
    if (type === 'application/problem+json') {
      const problem = z
        .object({ requestId: z.string(), status: z.int(), instance: z.string() })
        .parse(JSON.parse(answer.text));
      assert.equal(problem.requestId, requestId, seen);
      assert.equal(problem.status, answer.status, seen);
    }
    const template = templateOf(Object.keys(paths), path);
    const operation = template === undefined ? undefined : paths[template]?.[method.toLowerCase()];
    if (template === undefined || operation === undefined) {
      assert.equal(answer.status, 404, `${seen} is not documented`);
      validate(`#/components/schemas/Problem`, JSON.parse(answer.text), seen);
      return;
    }
    const response = operation.responses[answer.status];
    assert.ok(response, `${seen} is not documented; the answer was ${answer.text}`);
    if (response.content === undefined) {
      assert.equal(answer.text, '', seen);
      return;
    }
    assert.ok(type in response.content, `${seen} is not documented as ${type}`);
    const steps = [
      'paths',
      template,
      method.toLowerCase(),
      'responses',
      `${answer.status}`,
      'content',
      type,
      'schema',
    ];
    for (const body of bodiesOf(type, answer.text)) {
      validate(`#/${steps.map(escapeStep).join('/')}`, body, seen);
    }
  };

  function validate(reference: string, body: unknown, seen: string): void {
    const matches = ajv.getSchema(`api${reference}`) ?? ajv.compile({ $ref: `api${reference}` });
    assert.ok(matches(body), `${seen}: ${ajv.errorsText(matches.errors)}\n${JSON.stringify(body)}`);
  }
}

/** Of JSON lines each is described for itself. */
function bodiesOf(type: string, text: string): unknown[] {
  if (type !== 'application/x-ndjson') return [type.endsWith('json') ? JSON.parse(text) : text];
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
}

function templateOf(templates: string[], path: string): string | undefined {
  const { pathname } = new URL(path, 'http://host');
  if (templates.includes(pathname)) return pathname;
  return templates.find((template) =>
    new RegExp(`^${template.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`).test(pathname),
  );
}

/** A step of a JSON pointer inside a URI fragment. */
function escapeStep(step: string): string {
  return encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'));
}
