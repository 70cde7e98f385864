import { createHash } from 'node:crypto';
import { JobFailure } from '@glyphmill/contract/failure';
import { newId } from '@glyphmill/contract/id';
import type { Task } from '@glyphmill/contract/message';
import { createUploadSchema, uploadSchema } from '@glyphmill/contract/upload';
import { callerOf } from './authenticate.ts';
import type { App, Dependencies } from './dependencies.ts';
import { Problem, problemResponses } from './problem.ts';

/** An upload must begin within this time; what has begun may end later. */
const expiresInSeconds = 900;
const lookTimeoutMs = 10_000;

/** Take documents that are too large to come with a request, without their bytes passing through here. */
export function addUploadRoutes(app: App, { config, objects }: Dependencies): void {
  app.post(
    '/v1/uploads',
    {
      config: { scope: 'jobs:write' },
      schema: {
        operationId: 'createUpload',
        summary: 'Get an address to upload a document to',
        description:
          'Send the document there by PUT, then name its uploadId as the source of one job. One that no job reads is removed by the bucket’s lifecycle rule.',
        tags: ['jobs'],
        body: createUploadSchema,
        response: { 201: uploadSchema, ...problemResponses(...uploadProblems) },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const uploadId = newId('upl');
      const place = { bucket: config.s3SystemBucket, key: uploadKey(tenant, uploadId) };
      const { contentType, sizeBytes } = request.body;
      const expiresAt = new Date(Date.now() + expiresInSeconds * 1000).toISOString();
      const url = await objects.presignPut(place, { contentType, sizeBytes, expiresInSeconds });
      const headers = { 'content-type': contentType };
      reply.code(201);
      return { object: 'upload' as const, uploadId, method: 'PUT' as const, url, headers, expiresAt };
    },
  );
}

const uploadProblems = [
  'invalid-request',
  'invalid-json',
  'unknown-field',
  'unauthenticated',
  'insufficient-scope',
  'request-timeout',
  'payload-too-large',
  'unsupported-media-type',
  'validation-failed',
  'internal',
] as const;

/** The tenant is in the key, so that an id of somebody else's upload leads nowhere, and nothing has to be remembered. */
function uploadKey(tenant: string, uploadId: string): string {
  const digest = createHash('sha256').update(tenant).digest('base64url').slice(0, 22);
  return `uploads/${digest}/${uploadId}`;
}

/**
 * The document of an upload as it is now: whatever is put in its place later is not read. Throws validation-failed
 * when it is not there, and a JobFailure while that cannot be said.
 */
export async function findUpload(
  { config, objects }: Pick<Dependencies, 'config' | 'objects'>,
  { tenant, uploadId }: { tenant: string; uploadId: string },
): Promise<Pick<Task, 'document' | 'inline'>> {
  const place = { bucket: config.s3SystemBucket, key: uploadKey(tenant, uploadId) };
  try {
    const found = await objects.head(place, { signal: AbortSignal.timeout(lookTimeoutMs) });
    const { etag, versionId, sizeBytes, contentType } = found;
    return {
      document: { ...place, versionId, ifMatch: etag },
      inline: { uploadId, sizeBytes, contentType: contentType ?? 'application/octet-stream' },
    };
  } catch (error) {
    if (!(error instanceof JobFailure) || error.failure.code !== 'source-not-found') throw error;
    const detail = 'nothing has been uploaded under this id, or it has been read already';
    throw new Problem('validation-failed', {
      detail: `/source/uploadId: ${detail}`,
      errors: [{ pointer: '/source/uploadId', detail }],
    });
  }
}
