import { DeleteObjectsCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';

/** Objects that one request may name, by the S3 API. */
const objectsPerRequest = 1000;
/** Requests for one prefix: more than the pages that a document may have. */
const maxRequests = 200;

/** Removes all objects whose key begins with `prefix`. Throws when some are left. */
export async function removeAll(
  client: S3Client,
  { bucket, prefix }: { bucket: string; prefix: string },
  { signal }: { signal: AbortSignal },
): Promise<void> {
  for (let request = 0; request < maxRequests; request += 1) {
    const list = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: objectsPerRequest });
    const { Contents: found = [], IsTruncated: isTruncated } = await client.send(list, {
      abortSignal: signal,
    });
    if (found.length === 0) return;
    const remove = new DeleteObjectsCommand({
      Bucket: bucket,
      Delete: { Objects: found.map(({ Key }) => ({ Key })), Quiet: true },
    });
    const { Errors: errors = [] } = await client.send(remove, { abortSignal: signal });
    const [first] = errors;
    if (first !== undefined) {
      throw new Error(
        `${errors.length} objects under ${prefix} were not removed: ${first.Code} ${first.Message}`,
      );
    }
    if (isTruncated !== true) return;
  }
  throw new Error(`more than ${maxRequests * objectsPerRequest} objects under ${prefix}: the rest stays`);
}
