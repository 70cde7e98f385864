import { isFinal } from '@glyphmill/contract/job';
import type { JobRecord } from '@glyphmill/queue/job-record';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import type { App, Dependencies } from './dependencies.ts';
import { type EventStreams, eventStreamMediaType, type Snapshot } from './event-stream.ts';
import { toJob } from './job-view.ts';
import { getJob, jobParamsSchema, readProblems } from './jobs.ts';
import { problemResponses } from './problem.ts';

const description = `Server-sent events until the job has ended: \`job.queued\`, \`job.running\`, \`job.progress\`, \`job.canceling\`,
and at last \`job.succeeded\`, \`job.partial\`, \`job.failed\`, \`job.canceled\` or \`job.expired\`. The data of each is the whole job as
JSON, its id the job's revision. The first event is the job as it is, unless \`Last-Event-ID\` says that the client has seen it;
changes that follow each other closely, or come while the client does not read, are told as one.`;

/** Follow a job until it has ended. */
export function addJobEventRoutes(app: App, dependencies: Dependencies, streams: EventStreams): void {
  const { config, jobs } = dependencies;
  const snapshotOf = (record: JobRecord): Snapshot => ({
    revision: record.revision,
    status: record.status,
    data: toJob(record, config.publicUrl ?? ''),
    isLast: isFinal(record.status),
  });

  app.get(
    '/v1/jobs/:id/events',
    {
      config: { scope: 'jobs:read' },
      exposeHeadRoute: false,
      schema: {
        operationId: 'followJob',
        summary: 'Follow a job until it has ended',
        description,
        tags: ['jobs'],
        params: jobParamsSchema,
        querystring: z.strictObject({}),
        response: {
          200: { description: 'The events.', content: { [eventStreamMediaType]: { schema: z.string() } } },
          204: z.undefined().describe('The job has ended, and the client has seen its last event.'),
          ...problemResponses(...readProblems, 'too-many-streams'),
        },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const { id } = request.params;
      const first = snapshotOf(await getJob(dependencies, tenant, id));
      const watched = {
        type: 'job',
        async read() {
          const record = await jobs.get(tenant, id);
          return record && snapshotOf(record);
        },
        follow: (onChange: () => void) => jobs.follow(id, onChange),
      };
      return streams.send(request, reply, { watched, first });
    },
  );
}
