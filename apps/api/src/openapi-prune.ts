import type { SwaggerTransformObject } from '@fastify/swagger';

const prefix = '#/components/schemas/';

type Document = ReturnType<SwaggerTransformObject>;

/** Takes out of `document` the component schemas that nothing refers to: the generator adds each one twice. */
export function pruneComponents(document: Document): Document {
  if (!('components' in document) || document.components?.schemas === undefined) return document;
  const { schemas } = document.components;
  const used = new Set<string>();
  const pending = namesIn({ paths: document.paths, webhooks: 'webhooks' in document && document.webhooks });
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (used.has(name)) continue;
    used.add(name);
    pending.push(...namesIn(schemas[name]));
  }
  for (const name of Object.keys(schemas)) if (!used.has(name)) delete schemas[name];
  return document;
}

function namesIn(value: unknown): string[] {
  const names: string[] = [];
  JSON.stringify(value, (key, inner: unknown) => {
    if (key === '$ref' && typeof inner === 'string') names.push(inner.slice(prefix.length));
    return inner;
  });
  return names;
}
