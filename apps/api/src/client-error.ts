import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { ProblemCode } from '@glyphmill/contract/problem';
import { Problem, problemBody, problemMediaType } from './problem.ts';

/** Answers what never became a request: bytes that are no HTTP, headers too long, or a request too slow. */
export function answerClientError(error: Error, socket: Socket): void {
  const cause = 'code' in error ? error.code : undefined;
  if (cause === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = randomUUID();
  const problem = new Problem(...describe(cause));
  const body = problemBody(problem, { id: requestId, url: '' });
  const text = JSON.stringify(body);
  socket.end(
    [
      `HTTP/1.1 ${body.status} ${body.title}`,
      'Connection: close',
      `Content-Type: ${problemMediaType}`,
      `Content-Length: ${Buffer.byteLength(text)}`,
      `X-Request-Id: ${requestId}`,
      '',
      text,
    ].join('\r\n'),
  );
}

function describe(cause: unknown): [ProblemCode, { detail: string }] {
  switch (cause) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['request-timeout', { detail: 'The request did not arrive in time.' }];
    case 'HPE_HEADER_OVERFLOW':
      return ['invalid-request', { detail: 'The headers are too long.' }];
    default:
      return ['invalid-request', { detail: 'This is not HTTP/1.1 as we read it.' }];
  }
}
