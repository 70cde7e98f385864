import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checksum } from './s3-checksums.ts';
import { S3Error } from './s3-error.ts';

/** The version id of what was written while a bucket did not keep versions. */
const NULL_VERSION = 'null';
const OPEN_ATTEMPTS = 5;

export type Versioning = 'Off' | 'Enabled' | 'Suspended';

export interface ObjectVersion {
  versionId: string;
  /** Name of the data file beside the record; absent for a delete marker. */
  file?: string;
  sizeBytes: number;
  /** With its quotes. */
  etag: string;
  lastModifiedMs: number;
  /** Content-Type and the like, and x-amz-meta-*: sent back as they came. */
  headers: Record<string, string>;
  checksum?: Checksum;
}

/** A complete and verified body in a file of the store's temporary directory. */
export interface NewObject {
  path: string;
  sizeBytes: number;
  etag: string;
  headers: Record<string, string>;
  checksum?: Checksum | undefined;
}

export interface Bucket {
  name: string;
  createdMs: number;
  versioning: Versioning;
  /** Versions of each key, newest first, never an empty list. */
  keys: Map<string, ObjectVersion[]>;
}

interface KeyRecord {
  key: string;
  versions: ObjectVersion[];
}

/**
 * Buckets and objects on disk, for one process at a time. The index is in memory (about 1 kB per object)
 * and read from the records at start; a record is replaced by a rename, so a crash leaves the old or the
 * new one. File names are hashes of keys: a key is never part of a path.
 */
export class ObjectStore {
  readonly buckets = new Map<string, Bucket>();
  readonly uploadsDir: string;
  readonly #dir: string;
  /** The last change under way for each key, which the next one waits for. */
  readonly #changes = new Map<string, Promise<unknown>>();

  private constructor(dir: string) {
    this.#dir = dir;
    this.uploadsDir = join(dir, 'uploads');
  }

  static async open(dir: string): Promise<ObjectStore> {
    const store = new ObjectStore(dir);
    await rm(join(dir, 'tmp'), { recursive: true, force: true });
    for (const name of ['tmp', 'buckets', 'uploads']) await mkdir(join(dir, name), { recursive: true });
    for (const name of await readdir(join(dir, 'buckets'))) await store.#load(name);
    return store;
  }

  temporaryPath(): string {
    return join(this.#dir, 'tmp', randomUUID());
  }

  bucket(name: string): Bucket {
    const bucket = this.buckets.get(name);
    if (bucket === undefined) throw new S3Error('NoSuchBucket', 'The specified bucket does not exist.');
    return bucket;
  }

  async createBucket(name: string): Promise<void> {
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) || name.includes('..')) {
      throw new S3Error('InvalidBucketName', 'A bucket name is 3 to 63 of a-z, 0-9, "-" and ".".');
    }
    if (this.buckets.has(name)) throw new S3Error('BucketAlreadyOwnedByYou', 'The bucket exists already.');
    const bucket: Bucket = { name, createdMs: Date.now(), versioning: 'Off', keys: new Map() };
    this.buckets.set(name, bucket);
    await mkdir(this.#bucketDir(name), { recursive: true });
    await this.#writeBucket(bucket);
  }

  async deleteBucket(name: string): Promise<void> {
    if (this.bucket(name).keys.size > 0) throw new S3Error('BucketNotEmpty', 'The bucket is not empty.');
    this.buckets.delete(name);
    await rm(this.#bucketDir(name), { recursive: true, force: true });
  }

  async setVersioning(name: string, versioning: Versioning): Promise<void> {
    const bucket = this.bucket(name);
    bucket.versioning = versioning;
    await this.#writeBucket(bucket);
  }

  /** The version asked for, or the newest. Throws NoSuchKey, NoSuchVersion or, for a marker, what S3 does. */
  find(bucketName: string, key: string, versionId?: string): ObjectVersion {
    const versions = this.bucket(bucketName).keys.get(key) ?? [];
    const found =
      versionId === undefined ? versions[0] : versions.find((version) => version.versionId === versionId);
    if (found === undefined && versionId !== undefined) {
      throw new S3Error('NoSuchVersion', 'The specified version does not exist.');
    }
    if (found !== undefined && found.file !== undefined) return found;
    const headers: Record<string, string> = found === undefined ? {} : { 'x-amz-delete-marker': 'true' };
    if (versionId !== undefined) {
      throw new S3Error('MethodNotAllowed', 'The version is a delete marker.', headers);
    }
    throw new S3Error('NoSuchKey', 'The specified key does not exist.', headers);
  }

  /** Finds a version and opens its data, which then stays readable even if it is deleted meanwhile. */
  async openData(
    bucketName: string,
    key: string,
    versionId?: string,
  ): Promise<{ version: ObjectVersion; handle: FileHandle }> {
    for (let attempt = 1; ; attempt++) {
      const version = this.find(bucketName, key, versionId);
      try {
        const handle = await open(join(this.#bucketDir(bucketName), version.file ?? ''));
        return { version, handle };
      } catch (error) {
        // Replaced between the look-up and the open: look again.
        if (attempt === OPEN_ATTEMPTS) throw error;
      }
    }
  }

  /** Makes a body the newest version of a key, if `check` lets the one it replaces be replaced. */
  put(
    bucketName: string,
    key: string,
    object: NewObject,
    check: (current: ObjectVersion | undefined) => void,
  ): Promise<ObjectVersion> {
    return this.#change(bucketName, key, async (bucket, versions) => {
      const newest = versions[0];
      check(newest?.file === undefined ? undefined : newest);
      const file = `${hashOf(key)}.${randomUUID()}.data`;
      const { path, checksum, ...rest } = object;
      const version: ObjectVersion = {
        ...rest,
        ...(checksum === undefined ? {} : { checksum }),
        file,
        versionId: newVersionId(bucket),
        lastModifiedMs: Date.now(),
      };
      await rename(path, join(this.#bucketDir(bucketName), file));
      await this.#replace(bucket, key, [version, ...survivors(bucket, versions)]);
      return version;
    });
  }

  /** Deletes one version, or what a plain delete means in this bucket: the object, or a marker on top. */
  remove(
    bucketName: string,
    key: string,
    versionId?: string,
  ): Promise<{ versionId?: string; deleteMarker: boolean }> {
    return this.#change(bucketName, key, async (bucket, versions) => {
      if (versionId !== undefined) {
        const removed = versions.find((version) => version.versionId === versionId);
        await this.#replace(
          bucket,
          key,
          versions.filter((version) => version !== removed),
        );
        return { versionId, deleteMarker: removed !== undefined && removed.file === undefined };
      }
      if (bucket.versioning === 'Off') {
        await this.#replace(bucket, key, []);
        return { deleteMarker: false };
      }
      const marker: ObjectVersion = {
        versionId: newVersionId(bucket),
        sizeBytes: 0,
        etag: '',
        lastModifiedMs: Date.now(),
        headers: {},
      };
      await this.#replace(bucket, key, [marker, ...survivors(bucket, versions)]);
      return { versionId: marker.versionId, deleteMarker: true };
    });
  }

  /** Runs the changes of one key one after the other. */
  async #change<T>(
    bucketName: string,
    key: string,
    apply: (bucket: Bucket, versions: ObjectVersion[]) => Promise<T>,
  ): Promise<T> {
    const id = `${bucketName}/${key}`;
    const before = this.#changes.get(id) ?? Promise.resolve();
    const run = before.then(async () => {
      const bucket = this.bucket(bucketName);
      return apply(bucket, bucket.keys.get(key) ?? []);
    });
    // The failure of one change is its caller's; the next one starts all the same.
    const settled = run.then(
      () => undefined,
      () => undefined,
    );
    this.#changes.set(id, settled);
    try {
      return await run;
    } finally {
      if (this.#changes.get(id) === settled) this.#changes.delete(id);
    }
  }

  async #replace(bucket: Bucket, key: string, versions: ObjectVersion[]): Promise<void> {
    const dir = this.#bucketDir(bucket.name);
    const record = join(dir, `${hashOf(key)}.json`);
    const dropped = (bucket.keys.get(key) ?? []).filter((version) => !versions.includes(version));
    if (versions.length === 0) {
      await rm(record, { force: true });
      bucket.keys.delete(key);
    } else {
      await this.#writeJson(record, { key, versions } satisfies KeyRecord);
      bucket.keys.set(key, versions);
    }
    for (const { file } of dropped) if (file !== undefined) await rm(join(dir, file), { force: true });
  }

  async #load(name: string): Promise<void> {
    const dir = this.#bucketDir(name);
    const { createdMs, versioning }: Bucket = JSON.parse(await readFile(join(dir, 'bucket.json'), 'utf8'));
    const bucket: Bucket = { name, createdMs, versioning, keys: new Map() };
    const files = await readdir(dir);
    const known = new Set<string>();
    for (const file of files.filter((file) => file.endsWith('.json') && file !== 'bucket.json')) {
      const { key, versions }: KeyRecord = JSON.parse(await readFile(join(dir, file), 'utf8'));
      bucket.keys.set(key, versions);
      for (const version of versions) if (version.file !== undefined) known.add(version.file);
    }
    // Data whose record was never written, or is already replaced: the process ended in between.
    for (const file of files) if (file.endsWith('.data') && !known.has(file)) await rm(join(dir, file));
    this.buckets.set(name, bucket);
  }

  #writeBucket({ name, createdMs, versioning }: Bucket): Promise<void> {
    return this.#writeJson(join(this.#bucketDir(name), 'bucket.json'), { name, createdMs, versioning });
  }

  async #writeJson(path: string, value: unknown): Promise<void> {
    const temporary = this.temporaryPath();
    await writeFile(temporary, JSON.stringify(value));
    await rename(temporary, path);
  }

  #bucketDir(name: string): string {
    return join(this.#dir, 'buckets', name);
  }
}

/** What stays below a new version: all where versions are kept, else all but the one without an id. */
function survivors({ versioning }: Bucket, versions: ObjectVersion[]): ObjectVersion[] {
  if (versioning === 'Enabled') return versions;
  return versions.filter(({ versionId }) => versionId !== NULL_VERSION);
}

function newVersionId({ versioning }: Bucket): string {
  return versioning === 'Enabled' ? randomUUID().replaceAll('-', '') : NULL_VERSION;
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
