import { z } from 'zod';

/** The limits in force. */
export const limitsSchema = z
  .object({
    object: z.literal('limits'),
    inlineBytes: z.int().describe('Largest document inside a JSON body.'),
    presignedBytes: z.int().describe('Largest document of POST /v1/uploads; workers may take less.'),
    uploadBytes: z.int().describe('Largest image in a multipart or raw body.'),
    metadataEntries: z.int(),
    metadataKeyLength: z.int(),
    metadataValueLength: z.int(),
    urlLength: z.int().describe('Longest address of a webhook, in characters.'),
    webhookEndpoints: z.int().describe('Webhook endpoints that one tenant may have.'),
    ttlSecondsMin: z.int(),
    ttlSecondsMax: z.int(),
    timeoutSecondsMax: z.int(),
    waitSecondsMax: z.int(),
    listLimitMax: z.int(),
    waitingJobs: z.int().describe('Jobs of all callers that may wait at once.'),
    tenantJobs: z.int().describe('Jobs of yours that may be open, waiting or running.'),
    tenantPages: z.int().describe('Pages of your running jobs at which further jobs are refused.'),
    tenantMegapixels: z.int().describe('Megapixels of your running jobs at which further jobs are refused.'),
    batchItems: z.int().describe('Items of a batch that are named one by one.'),
    manifestLines: z.int().describe('Lines of a batch’s manifest.'),
    manifestLineBytes: z.int(),
    manifestBytes: z.int(),
    prefixObjects: z.int().describe('Objects of a batch that is named by a prefix.'),
    prefixListed: z.int().describe('Objects looked at for those that match its glob.'),
    globLength: z.int(),
    batchesIngesting: z.int().describe('Batches of yours whose jobs are still being made.'),
    batchRejections: z.int().describe('Rejections of a batch that are told one by one.'),
    recognizeConcurrency: z.int(),
    submitConcurrency: z.int(),
    eventStreams: z.int().describe('Event streams that one process of the API keeps open.'),
    requestTimeoutSeconds: z.int(),
  })
  .meta({ id: 'Limits' });
