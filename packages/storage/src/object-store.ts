import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { readBody } from './body.ts';
import { streamBody } from './object-stream.ts';
import { removeAll } from './remove-all.ts';
import { toFetchFailure, toStoreFailure } from './s3-failure.ts';

export interface ObjectStoreConfig {
  endpoint: string | undefined;
  region: string;
  accessKeyId: string | undefined;
  secretAccessKey: string | undefined;
  forcePathStyle: boolean;
  /** Where callers reach the store, if elsewhere than this process does; for presigned URLs. */
  publicEndpoint?: string | undefined;
}

export interface ObjectAddress {
  bucket: string;
  key: string;
  /** Reads this version; null or absent reads the current one. */
  versionId?: string | null;
  /** Fails with `source-changed` unless the object still has this ETag. */
  ifMatch?: string | null;
}

/** What tells one state of an object from another. */
export interface ObjectVersion {
  etag: string | null;
  versionId: string | null;
  sizeBytes: number;
}

export interface ReadObject extends ObjectVersion {
  bytes: Buffer;
}

export interface ListedObject {
  key: string;
  sizeBytes: number;
}

export interface ObjectStore {
  /** The whole object. Throws a JobFailure of phase `fetch`; `signal` bounds the time, body included. */
  read(address: ObjectAddress, options: { maxBytes: number; signal: AbortSignal }): Promise<ReadObject>;
  /** What `read` would give, without its bytes. Throws as `read` does. */
  head(
    address: ObjectAddress,
    options: { signal: AbortSignal },
  ): Promise<ObjectVersion & { contentType: string | null }>;
  /** The object’s bytes from `offset` on, as they come. Throws as `read` does. */
  stream(address: ObjectAddress, options: { offset: number; signal: AbortSignal }): AsyncIterable<Buffer>;
  /**
   * A page of the objects whose keys begin with `prefix` and come after `after`, by their keys, and whether there are
   * more. Throws as `read` does.
   */
  list(
    place: { bucket: string; prefix: string; after: string },
    options: { signal: AbortSignal },
  ): Promise<{ objects: ListedObject[]; more: boolean }>;
  /** Throws a JobFailure of phase `store`. */
  write(
    address: ObjectAddress,
    bytes: Uint8Array,
    options: { contentType: string; signal: AbortSignal },
  ): Promise<void>;
  /** A URL that takes one object of just this size and type by PUT; asks nothing of the store. */
  presignPut(
    address: ObjectAddress,
    options: { contentType: string; sizeBytes: number; expiresInSeconds: number },
  ): Promise<string>;
  /** Removing what is not there is no error. */
  remove(address: ObjectAddress, options: { signal: AbortSignal }): Promise<void>;
  /** Removes all objects whose key begins with `prefix`. */
  removeAll(place: { bucket: string; prefix: string }, options: { signal: AbortSignal }): Promise<void>;
  /** Creates the bucket unless it exists. */
  ensureBucket(bucket: string): Promise<void>;
  /** Resolves when the store answers and the bucket is there and ours to use. */
  checkBucket(bucket: string): Promise<void>;
  close(): void;
}

/** Tries per request against throttling and 5xx, with the SDK's jittered backoff; a job's attempts come on top. */
const maxAttempts = 3;
const connectionTimeoutMs = 3000;
/** Longest silence on a connection. The SDK only warns about it unless told to throw. */
const requestTimeoutMs = 20_000;
const maxSockets = 64;
/** Longest silence in the middle of an object that is streamed. */
const silenceMs = 20_000;

export function openObjectStore(config: ObjectStoreConfig): ObjectStore {
  const client = createClient(config);
  return {
    async read(address, { maxBytes, signal }) {
      try {
        const answer = await client.send(new GetObjectCommand(inputOf(address)), { abortSignal: signal });
        const bytes = await readBody(answer, { maxBytes, signal });
        return { bytes, ...versionOf(answer), sizeBytes: bytes.length };
      } catch (error) {
        throw toFetchFailure(error, { ...address, signal });
      }
    },
    async head(address, { signal }) {
      try {
        const answer = await client.send(new HeadObjectCommand(inputOf(address)), { abortSignal: signal });
        if (answer.ContentLength === undefined) throw new Error('expected the object’s size');
        const { ContentLength: sizeBytes, ContentType: contentType = null } = answer;
        return { ...versionOf(answer), sizeBytes, contentType };
      } catch (error) {
        throw toFetchFailure(error, { ...address, signal });
      }
    },
    async *stream(address, { offset, signal }) {
      try {
        const range = offset === 0 ? {} : { Range: `bytes=${offset}-` };
        const command = new GetObjectCommand({ ...inputOf(address), ...range });
        yield* streamBody(await client.send(command, { abortSignal: signal }), { silenceMs, signal });
      } catch (error) {
        throw toFetchFailure(error, { ...address, signal });
      }
    },
    async list({ bucket, prefix, after }, { signal }) {
      try {
        const command = new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          // Keys may have characters that XML cannot.
          EncodingType: 'url',
          ...(after === '' ? {} : { StartAfter: after }),
        });
        const { Contents = [], IsTruncated = false } = await client.send(command, { abortSignal: signal });
        const objects = Contents.map(({ Key: key = '', Size: sizeBytes = 0 }) => ({
          key: decodeURIComponent(key.replaceAll('+', ' ')),
          sizeBytes,
        }));
        return { objects, more: IsTruncated };
      } catch (error) {
        throw toFetchFailure(error, { bucket, key: prefix, signal });
      }
    },
    async write({ bucket, key }, bytes, { contentType, signal }) {
      try {
        const command = new PutObjectCommand({
          Bucket: bucket,
          Key: key,
          Body: bytes,
          ContentType: contentType,
        });
        await client.send(command, { abortSignal: signal });
      } catch (error) {
        throw toStoreFailure(error, { bucket, key });
      }
    },
    async presignPut({ bucket, key }, { contentType, sizeBytes, expiresInSeconds }) {
      const endpoint = config.publicEndpoint ?? config.endpoint;
      // It would promise the checksum of no bytes.
      const signer = createClient({ ...config, endpoint }, 'WHEN_REQUIRED');
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        ContentType: contentType,
        ContentLength: sizeBytes,
      });
      const signableHeaders = new Set(['host', 'content-type', 'content-length']);
      return await getSignedUrl(signer, command, { expiresIn: expiresInSeconds, signableHeaders });
    },
    async remove({ bucket, key }, { signal }) {
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: signal });
    },
    removeAll: (place, options) => removeAll(client, place, options),
    async ensureBucket(bucket) {
      try {
        await client.send(new HeadBucketCommand({ Bucket: bucket }));
      } catch (error) {
        if (!(error instanceof Error) || error.name !== 'NotFound') throw error;
        await createBucket(client, bucket);
      }
    },
    async checkBucket(bucket) {
      await client.send(new HeadBucketCommand({ Bucket: bucket }), {
        abortSignal: AbortSignal.timeout(5000),
      });
    },
    close: () => client.destroy(),
  };
}

function inputOf({ bucket, key, versionId, ifMatch }: ObjectAddress) {
  return {
    Bucket: bucket,
    Key: key,
    ...(versionId ? { VersionId: versionId } : {}),
    ...(ifMatch ? { IfMatch: ifMatch } : {}),
  };
}

function versionOf(answer: { ETag?: string | undefined; VersionId?: string | undefined }) {
  return { etag: answer.ETag ?? null, versionId: answer.VersionId ?? null };
}

function createClient(
  config: ObjectStoreConfig,
  checksums: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED' = 'WHEN_SUPPORTED',
): S3Client {
  const { accessKeyId, secretAccessKey } = config;
  return new S3Client({
    region: config.region,
    forcePathStyle: config.forcePathStyle,
    maxAttempts,
    requestChecksumCalculation: checksums,
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey } }),
    requestHandler: new NodeHttpHandler({
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets },
      httpsAgent: { maxSockets },
    }),
  });
}

/** Several processes may create it at the same time; whoever comes second finds it there. */
async function createBucket(client: S3Client, bucket: string): Promise<void> {
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'BucketAlreadyOwnedByYou') throw error;
  }
}
