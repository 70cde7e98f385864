import { batchLimits } from '@glyphmill/contract/batch-request';
import { limitsSchema } from '@glyphmill/contract/limits';
import { requestLimits } from '@glyphmill/contract/request';
import { webhookLimits } from '@glyphmill/contract/webhook';
import type { App, Dependencies } from './dependencies.ts';
import { maxEventStreams } from './event-stream.ts';
import { listLimitMax, readProblems } from './jobs.ts';
import { problemResponses } from './problem.ts';

/** The limits in force. */
export function addLimitRoutes(app: App, { config }: Dependencies): void {
  app.get(
    '/v1/limits',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'getLimits',
        summary: 'The limits in force',
        tags: ['service'],
        response: { 200: limitsSchema, ...problemResponses(...readProblems) },
      },
    },
    async () => ({
      object: 'limits' as const,
      ...requestLimits,
      ...batchLimits,
      urlLength: webhookLimits.urlLength,
      webhookEndpoints: webhookLimits.endpoints,
      listLimitMax,
      uploadBytes: config.maxUploadBytes,
      waitingJobs: config.maxWaitingJobs,
      tenantJobs: config.tenantMaxJobs,
      tenantPages: config.tenantMaxPages,
      tenantMegapixels: config.tenantMaxMegapixels,
      eventStreams: maxEventStreams,
      recognizeConcurrency: config.recognizeConcurrency,
      submitConcurrency: config.submitConcurrency,
      requestTimeoutSeconds: config.requestTimeoutSeconds,
    }),
  );
}
