import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Reply } from './case.ts';

export interface SeenRequest {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
  atMs: number;
}

interface Script {
  base: string;
  replies: readonly Reply[];
  seen: SeenRequest[];
}

export type ScriptServer = Awaited<ReturnType<typeof startScriptServer>>;

/** Pages of the browser come from elsewhere. */
const shared = {
  // A browser sends again by itself what broke on a connection that was used before.
  connection: 'close',
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, POST, PUT, DELETE',
  'access-control-allow-headers': 'authorization, content-type, idempotency-key, last-event-id',
  'access-control-expose-headers': 'retry-after, location, x-request-id',
};

/** A server that answers as each script says, under an address of its own for each. */
export async function startScriptServer() {
  const scripts = new Map<string, Script>();
  const server = createServer((request, response) => {
    const found = scripts.get(/^\/(s\d+)\//.exec(request.url ?? '')?.[1] ?? '');
    if (found === undefined) response.writeHead(404).end('there is no such script');
    else void answer(found, request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP port');

  return {
    add(replies: readonly Reply[]): Script {
      const name = `s${scripts.size + 1}`;
      const script = { base: `http://127.0.0.1:${address.port}/${name}`, replies, seen: [] };
      scripts.set(name, script);
      return script;
    },
    async close(): Promise<void> {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function answer(script: Script, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'OPTIONS') {
    response.writeHead(204, shared).end();
    return;
  }
  const chunks: Buffer[] = [];
  const atMs = performance.now();
  for await (const chunk of request) chunks.push(chunk);
  const reply = script.replies[Math.min(script.seen.length, script.replies.length - 1)] ?? {};
  script.seen.push({
    method: request.method ?? '',
    path: (request.url ?? '').replace(/^\/s\d+/, ''),
    headers: request.headers,
    body: Buffer.concat(chunks).toString('latin1'),
    atMs,
  });
  if (reply.delayMs !== undefined) await delay(reply.delayMs);
  if (reply.reset === 'before') {
    request.socket.destroy();
    return;
  }
  const fill = (text: string) => text.replaceAll('$base', script.base);
  const body = fill(reply.text ?? (reply.json === undefined ? '' : JSON.stringify(reply.json)));
  const status = reply.status ?? 200;
  const type =
    reply.text !== undefined ? 'text/plain' : status < 400 ? 'application/json' : 'application/problem+json';
  const headers = Object.entries(reply.headers ?? {}).map(([name, value]) => [name, fill(value)] as const);
  response.writeHead(status, {
    ...shared,
    ...(body === '' ? {} : { 'content-type': type }),
    ...Object.fromEntries(headers),
    // On a connection that is closed after it, an answer without a length would end wherever it breaks off.
    ...(reply.reset === 'within' ? { 'content-length': body.length + 100 } : {}),
  });
  if (reply.reset === 'within') {
    response.write(body);
    // After it has gone out.
    setTimeout(() => request.socket.destroy(), 50);
    return;
  }
  response.end(body);
}
