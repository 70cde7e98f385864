import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from './problem.ts';

/** Lets in so many requests at once, and tells the others before their bodies are read when to come back. */
export interface Gate {
  /** For `onRequest`. Throws the problem `queue-full`. */
  enter(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** The request does nothing more that needs its place, and may wait. At its end it leaves by itself. */
  leave(request: FastifyRequest): void;
}

const retryAfterSeconds = 1;

/**
 * What an API process works on at once has to be bounded: past what it can do, everything that is let in only makes
 * everything wait longer, callers that merely look at a job included.
 */
export function createGate({ most, detail }: { most: number; detail: string }): Gate {
  const inside = new Set<FastifyRequest>();
  /** Of each connection, what came by it. */
  const cameBy = new WeakMap<Socket, Set<FastifyRequest>>();

  /** Where a connection ends, answers that were waiting for their turn on it are never told so. */
  function leaveWith(socket: Socket, request: FastifyRequest): void {
    const requests = cameBy.get(socket) ?? new Set();
    if (!cameBy.has(socket)) {
      cameBy.set(socket, requests);
      socket.once('close', () => {
        for (const gone of requests) inside.delete(gone);
      });
    }
    requests.add(request);
  }

  return {
    async enter(request, reply) {
      if (inside.size >= most) throw new Problem('queue-full', { detail, retryAfterSeconds });
      inside.add(request);
      const { socket } = request.raw;
      leaveWith(socket, request);
      reply.raw.once('close', () => {
        inside.delete(request);
        cameBy.get(socket)?.delete(request);
      });
    },
    leave: (request) => void inside.delete(request),
  };
}
