import type { ScalingSettings } from '@glyphmill/queue/scaling';
import { z } from 'zod';
import type { ApiConfig } from './config.ts';
import type { App, Dependencies } from './dependencies.ts';
import { readProblems } from './jobs.ts';
import { problemResponses } from './problem.ts';
import { ageSeconds } from './queues.ts';

const scalingSchema = z
  .object({
    object: z.literal('queue.scaling'),
    name: z.literal('documents'),
    backlogSeconds: z
      .number()
      .describe('Pages still to be read ÷ what one worker reads per second; 0 while the queue is paused.'),
    backlogPages: z
      .number()
      .describe('Pages still to be read; a document that nobody has opened yet counts as the mean of late.'),
    oldestAgeSeconds: z.number().nullable().describe('How long the oldest waits already.'),
    ratePagesPerSecond: z.number().describe('Of one worker, as the workers measured it.'),
    workers: z.int().describe('Workers that are there.'),
    paused: z.boolean(),
    desiredReplicas: z.int().describe('backlogSeconds ÷ SCALING_TARGET_SECONDS, rounded up.'),
  })
  .meta({ id: 'Scaling' });

const paramsSchema = z.strictObject({ name: z.literal('documents') });

export function scalingSettings(
  config: Pick<ApiConfig, 'scalingTargetSeconds' | 'scalingDefaultPagesPerSecond'>,
): ScalingSettings {
  return {
    targetSeconds: config.scalingTargetSeconds,
    defaultPagesPerSecond: config.scalingDefaultPagesPerSecond,
  };
}

/** For autoscalers, with a scope that shows nothing else. */
export function addScalingRoutes(app: App, { config, jobs }: Dependencies): void {
  const settings = scalingSettings(config);
  app.get(
    '/v1/queues/:name/scaling',
    {
      config: { scope: 'scaling:read' },
      schema: {
        operationId: 'getScaling',
        summary: 'How much work waits, in seconds of one worker',
        tags: ['operation'],
        params: paramsSchema,
        response: { 200: scalingSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request) => {
      const { name } = request.params;
      const [scaling, { oldestAtMs }] = await Promise.all([jobs.scaling(settings), jobs.queueState(name)]);
      return {
        object: 'queue.scaling' as const,
        name,
        ...scaling,
        backlogSeconds: hundredths(scaling.backlogSeconds),
        backlogPages: hundredths(scaling.backlogPages),
        ratePagesPerSecond: scaling.ratePagesPerSecond,
        oldestAgeSeconds: ageSeconds(oldestAtMs),
      };
    },
  );
}

const hundredths = (value: number) => Math.round(value * 100) / 100;
