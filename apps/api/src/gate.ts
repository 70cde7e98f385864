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
  return {
    async enter(request, reply) {
      if (inside.size >= most) throw new Problem('queue-full', { detail, retryAfterSeconds });
      inside.add(request);
      reply.raw.once('close', () => inside.delete(request));
    },
    leave: (request) => void inside.delete(request),
  };
}
