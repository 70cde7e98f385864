import type { BigIntStats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** By version number: a text that is another one once a file of the version's directory is. */
export type VersionStamps = ReadonlyMap<number, string>;

/** Files of one version directory that are looked at; a model has one, or a few where weights lie beside the graph. */
const maxFiles = 64;

/** The versions of a model's directory that have their model file, with stamps. Throws what the file system does. */
export async function scanVersions(directory: string, modelFilename: string): Promise<VersionStamps> {
  const stamps = new Map<number, string>();
  for (const { name } of await readdir(directory, { withFileTypes: true })) {
    if (!/^[1-9]\d*$/.test(name)) continue;
    const stamp = await stampOf(join(directory, name), modelFilename);
    if (stamp !== undefined) stamps.set(Number(name), stamp);
  }
  return stamps;
}

async function stampOf(directory: string, modelFilename: string): Promise<string | undefined> {
  const names = await readdir(directory).catch(ifGone);
  if (!names?.includes(modelFilename)) return undefined;
  const looked = [modelFilename, ...names.filter((name) => name !== modelFilename).sort()].slice(0, maxFiles);
  const stats: string[] = [];
  for (const name of looked) {
    const found = await stat(join(directory, name), { bigint: true }).catch(ifGone);
    if (name === modelFilename && !(found?.isFile() && found.size > 0n)) return undefined;
    if (found) stats.push(`${name}:${stampOfFile(found)}`);
  }
  return stats.join('/');
}

function stampOfFile({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino}:${size}:${mtimeNs}`;
}

/** Between two calls anything may be removed, and a number may be the name of a file. */
function ifGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
}
