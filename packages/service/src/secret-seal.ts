import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** Keeps secrets that must be used again, and so cannot be kept as digests: AES-256-GCM under a derived key. */
export interface SecretSeal {
  /** What may be stored. It opens for the same owner only, so that a copy put elsewhere is of no use. */
  seal(secret: string, owner: string): string;
  /** Undefined when it was sealed under a root that is not at hand. Throws when it was changed, or is another owner's. */
  open(sealed: string, owner: string): string | undefined;
}

const algorithm = 'aes-256-gcm';
const keyBytes = 32;
const keyIdBytes = 6;
const ivBytes = 12;
const tagBytes = 16;

/** Seals under the first of `roots`, and opens what was sealed under any of them: a root can be replaced. */
export function createSecretSeal(roots: readonly [string, ...string[]]): SecretSeal {
  const current = sealKey(roots[0]);
  const keys = new Map(roots.map(sealKey).map((key) => [key.id, key]));
  return {
    seal(secret, owner) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv(algorithm, current.key, iv).setAAD(Buffer.from(owner));
      const sealed = Buffer.concat([iv, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `v1.${current.id}.${sealed.toString('base64url')}`;
    },
    open(sealed, owner) {
      const [version, keyId = '', text = ''] = sealed.split('.');
      if (version !== 'v1') throw new Error('a sealed secret has a form that this process does not know');
      const found = keys.get(keyId);
      if (found === undefined) return undefined;
      const bytes = Buffer.from(text, 'base64url');
      const [iv, body, tag] = [
        bytes.subarray(0, ivBytes),
        bytes.subarray(ivBytes, -tagBytes),
        bytes.subarray(-tagBytes),
      ];
      const decipher = createDecipheriv(algorithm, found.key, iv, { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(owner)).setAuthTag(tag);
      return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
    },
  };
}

/** The id only tells keys apart: it is derived beside the key and says nothing of it. */
function sealKey(root: string): { id: string; key: Buffer } {
  const derive = (info: string, bytes: number) => Buffer.from(hkdfSync('sha256', root, '', info, bytes));
  return {
    id: derive('glyphmill webhook secrets: key id', keyIdBytes).toString('base64url'),
    key: derive('glyphmill webhook secrets: key', keyBytes),
  };
}
