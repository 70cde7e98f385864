import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { authenticate, type Credentials, type Payload } from './s3-auth.ts';
import type { IncomingBody } from './s3-body.ts';
import type { Call } from './s3-call.ts';
import { corsHeaders } from './s3-cors.ts';
import { S3Error } from './s3-error.ts';
import { type Fault, type Intercept, withFault } from './s3-faults.ts';
import { ObjectStore } from './s3-objects.ts';
import { parseTarget, plainHeaders, receiveBytes } from './s3-request.ts';
import { errorReply, errorXml, sendReply } from './s3-response.ts';
import { findRoute } from './s3-routes.ts';

const GIB = 1024 ** 3;
const HEADERS_TIMEOUT_MS = 10_000;
const TIMEOUT_CHECK_MS = 1000;
/** The socket's own limit is for a client that does not read; it comes after the answer to one that does not send. */
const SOCKET_GRACE_MS = 5000;

export interface StartS3Options extends Credentials {
  /** Holds all data; one server at a time. */
  dir: string;
  /** 0, the default, takes any free one. */
  port?: number;
  /** Created unless they exist. */
  buckets?: string[];
  maxObjectBytes?: number;
  /** How long a client may neither send nor read. */
  idleTimeoutMs?: number;
  /** How long a whole request may take to arrive. */
  requestTimeoutMs?: number;
  /** Whose pages may use presigned URLs from a browser; none by default. */
  corsOrigins?: readonly string[];
  /** The seam for tests. */
  intercept?: Intercept;
}

export interface EmbeddedS3 {
  /** http://127.0.0.1:port, for a client with path-style addresses. */
  endpoint: string;
  /** Ends open connections and the server; the data stays. */
  close(): Promise<void>;
}

interface Context {
  store: ObjectStore;
  credentials: Credentials;
  maxObjectBytes: number;
  idleTimeoutMs: number;
  corsOrigins: readonly string[];
  intercept: Intercept | undefined;
}

/**
 * Starts an S3 server on loopback for development, demo and tests: signed requests only (SigV4, presigned
 * URLs), objects streamed to and from disk. Operations it does not know are answered with 501.
 */
export async function startS3(options: StartS3Options): Promise<EmbeddedS3> {
  const { accessKeyId, secretAccessKey, intercept } = options;
  const store = await ObjectStore.open(options.dir);
  for (const name of options.buckets ?? []) if (!store.buckets.has(name)) await store.createBucket(name);
  const idleTimeoutMs = options.idleTimeoutMs ?? 30_000;
  const context: Context = {
    store,
    credentials: { accessKeyId, secretAccessKey },
    maxObjectBytes: options.maxObjectBytes ?? 5 * GIB,
    idleTimeoutMs,
    corsOrigins: options.corsOrigins ?? [],
    intercept,
  };
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    // Every failure is answered in there.
    void serve(context, request, response);
  };
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: options.requestTimeoutMs ?? 15 * 60 * 1000,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    },
    listener,
  );
  // Lets an operation refuse a body before it is sent.
  server.on('checkContinue', listener);
  server.on('clientError', refuseClient);
  server.setTimeout(idleTimeoutMs + SOCKET_GRACE_MS);
  const port = await listen(server, options.port ?? 0);
  return { endpoint: `http://127.0.0.1:${port}`, close: () => close(server) };
}

async function serve(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let fault: Fault | undefined;
  let path = '';
  try {
    const target = parseTarget(request.url ?? '');
    const headers = plainHeaders(request);
    const method = request.method ?? '';
    path = target.path;
    const { origin, 'access-control-request-headers': wanted } = headers;
    const shared = corsHeaders(context.corsOrigins, { origin, wanted });
    response.setHeaders(new Map(Object.entries(shared)));
    // A preflight bears no signature.
    if (method === 'OPTIONS' && shared['access-control-allow-origin'] !== undefined) {
      await sendReply(response, { status: 204 }, undefined);
      return;
    }
    const payload = authenticate({ ...target, method, headers }, context.credentials, Date.now());
    const { bucket, key } = target;
    const query = new Map(target.query);
    const found = findRoute(method, { bucket, key, query, headers });
    fault = context.intercept?.({ method, bucket, key, operation: found.operation });
    if (fault !== undefined && 'status' in fault) {
      const body = errorXml({ code: fault.code, message: 'A fault was asked for.', resource: path });
      await sendReply(response, { status: fault.status, body }, undefined);
      request.resume();
      return;
    }
    if (fault !== undefined && 'hangMs' in fault) await hang(request.socket, fault.hangMs, context);
    const { store, maxObjectBytes } = context;
    const body = () => receive(context, { request, response, headers, payload, fault });
    const call: Call = { store, bucket, key, query, headers, maxObjectBytes, body };
    const reply = await found.run(call);
    await sendReply(response, reply, method === 'GET' ? fault : undefined);
  } catch (error) {
    if (response.headersSent || response.destroyed) response.destroy();
    else await sendReply(response, errorReply(error, path), undefined).catch(() => response.destroy());
    // What is left of the body is read and dropped: closing now could lose the answer on its way.
    request.resume();
  }
}

interface Receiving {
  request: IncomingMessage;
  response: ServerResponse;
  headers: Record<string, string>;
  payload: Payload;
  fault: Fault | undefined;
}

function receive(context: Context, { request, response, headers, payload, fault }: Receiving): IncomingBody {
  async function* source(): AsyncGenerator<Buffer> {
    if (request.headers.expect !== undefined) response.writeContinue();
    const received = receiveBytes(request, context.idleTimeoutMs);
    yield* withFault(received, fault, () => request.socket.destroy());
  }
  return { source: source(), headers, payload, maxBytes: context.maxObjectBytes };
}

/** Keeps the connection for the time of the fault, and no longer than the client does. */
async function hang(socket: Socket, hangMs: number, { idleTimeoutMs }: Context): Promise<void> {
  const gone = new AbortController();
  const abort = () => gone.abort();
  socket.once('close', abort);
  socket.setTimeout(hangMs + SOCKET_GRACE_MS);
  await delay(hangMs, undefined, { signal: gone.signal });
  socket.off('close', abort);
  socket.setTimeout(idleTimeoutMs + SOCKET_GRACE_MS);
}

/** Answers what is not a request, or did not arrive in time, below the level of operations. */
function refuseClient(error: Error, socket: Duplex): void {
  if (!socket.writable) return;
  const late = 'code' in error && error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const reply = late
    ? errorReply(new S3Error('RequestTimeout', 'The request did not arrive in time.'), '')
    : errorReply(new S3Error('InvalidRequest', 'This is not an HTTP request.'), '');
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/xml\r\n\r\n${reply.body}`,
  );
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The S3 server got no TCP port.');
  return address.port;
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
