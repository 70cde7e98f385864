import multipart from '@fastify/multipart';
import { isFinal, jobSchema } from '@glyphmill/contract/job';
import { requestLimits } from '@glyphmill/contract/request';
import { resultSchema } from '@glyphmill/contract/result';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import { limitsOf } from './config.ts';
import type { App, Dependencies } from './dependencies.ts';
import { createGate } from './gate.ts';
import { acceptJob, noSuchJob } from './jobs.ts';
import { problemResponses } from './problem.ts';
import { rateLimitHeaders } from './rate-limit.ts';
import { multipartBodySchema, readRecognition, recognizeBodySchema } from './recognize-body.ts';
import { readResult, sendResult } from './results.ts';
import { submit } from './submit.ts';
import { untilGone, waitForEnd } from './wait.ts';

/** Read one image while the caller waits: a job of high priority, and its result as the answer. */
export function addRecognizeRoute(app: App, dependencies: Dependencies, closing: AbortSignal): void {
  const { config, jobs } = dependencies;
  const querySchema = z.strictObject({
    timeout: z.coerce
      .number()
      .int()
      .min(0)
      .max(requestLimits.waitSecondsMax)
      .default(config.recognizeTimeoutSeconds)
      .describe('Seconds to wait for the result before answering 202 with the job.'),
  });

  // In a scope of its own: no other route takes these media types.
  app.register(async (scope: App) => {
    acceptImages(scope, config.maxUploadBytes);
    // Each call holds its image in memory.
    const gate = createGate({
      most: config.recognizeConcurrency,
      detail: `${config.recognizeConcurrency} callers wait here already; try again shortly, or submit a job instead.`,
    });
    scope.addHook('onRequest', gate.enter);
    scope.post(
      '/v1/recognize',
      {
        config: { scope: 'jobs:write', bodies: recognizeBodies },
        schema: {
          operationId: 'recognize',
          summary: 'Read one image and wait for the result',
          tags: ['results'],
          querystring: querySchema,
          response: {
            200: {
              description: 'What was read.',
              content: { 'application/json': { schema: resultSchema } },
            },
            202: jobSchema,
            ...problemResponses(...recognizeProblems),
          },
        },
      },
      async (request, reply) => {
        const submission = await readRecognition(request);
        const submitted = await submit(dependencies, callerOf(request), submission, {
          traceparent: request.traceparent,
        });
        reply.headers(rateLimitHeaders(submitted.usage, limitsOf(config).tenant));
        const record = await waitForEnd(jobs, submitted.record, {
          timeoutMs: request.query.timeout * 1000,
          signal: untilGone(reply, closing),
        });
        if (record === undefined) throw noSuchJob();
        if (!isFinal(record.status)) return acceptJob(reply, record, config.publicUrl ?? '');
        const json = await readResult(dependencies, record);
        return sendResult(reply, 'json', json);
      },
    );
  });
}

const recognizeProblems = [
  'invalid-request',
  'invalid-json',
  'unknown-field',
  'unauthenticated',
  'insufficient-scope',
  'source-not-allowed',
  'not-found',
  'request-timeout',
  'job-failed',
  'job-canceled',
  'result-expired',
  'payload-too-large',
  'unsupported-media-type',
  'validation-failed',
  'unknown-model',
  'quota-exceeded',
  'queue-full',
  'queue-unavailable',
  'storage-unavailable',
  'internal',
] as const;

const binarySchema = z.unknown().meta({ description: 'The image’s bytes.' });

const recognizeBodies = {
  'multipart/form-data': multipartBodySchema,
  'application/json': recognizeBodySchema,
  'application/octet-stream': binarySchema,
  'image/*': binarySchema,
};

function acceptImages(scope: App, maxUploadBytes: number): void {
  scope.register(multipart, {
    limits: {
      fileSize: maxUploadBytes,
      files: 1,
      fields: 4,
      parts: 5,
      fieldSize: 16_384,
      fieldNameSize: 100,
      headerPairs: 32,
    },
  });
  const whole = { parseAs: 'buffer', bodyLimit: maxUploadBytes } as const;
  const asItIs = async (_request: FastifyRequest, body: Buffer) => body;
  scope.addContentTypeParser('application/octet-stream', whole, asItIs);
  scope.addContentTypeParser(/^image\//, whole, asItIs);
}
