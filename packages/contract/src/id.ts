import { TypeID, typeid } from 'typeid-js';
import { z } from 'zod';

// Ids are TypeIDs (github.com/jetify-com/typeid/spec): a prefix and a UUIDv7 in Crockford base32,
// so that they sort by creation time and say what they name.
type IdPrefix = 'job' | 'bat' | 'evt' | 'whk' | 'upl' | 'att' | 'wrk';

/** A new id, for example `job_01h455vb4pex5vsknk084sn02q`. */
export function newId(prefix: IdPrefix): string {
  return typeid(prefix).toString();
}

/** When an id was made, in milliseconds since 1970: the first 48 bits of its UUIDv7. */
export function timeOfId(id: string): number {
  return Number.parseInt(TypeID.fromString(id).toUUID().replaceAll('-', '').slice(0, 12), 16);
}

/**
 * An id that is the same whenever it is made of the same: the time is that of `parent`, and what is random in others
 * comes from `hash`, of at least ten bytes.
 */
export function derivedId(prefix: IdPrefix, { parent, hash }: { parent: string; hash: Uint8Array }): string {
  const [first = 0, second = 0, third = 0, ...others] = hash.subarray(0, randomBytes);
  // The version and the variant of a UUIDv7 stand where RFC 9562 has them.
  const bytes = [(first & 0x0f) | 0x70, second, (third & 0x3f) | 0x80, ...others];
  const time = parent.slice(parent.indexOf('_') + 1).slice(0, timeDigits);
  return `${prefix}_${time}${base32(bytes)}`;
}

/** The 48 bits of the time, after two zeros; what follows is 80 bits of 16 digits. */
const timeDigits = 10;
const randomBytes = 10;
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

function base32(bytes: readonly number[]): string {
  let digits = '';
  let bits = 0;
  let bitCount = 0;
  for (const byte of bytes) {
    bits = ((bits << 8) | byte) & 0xfff;
    bitCount += 8;
    for (; bitCount >= 5; bitCount -= 5) digits += alphabet[(bits >> (bitCount - 5)) & 31];
  }
  return digits;
}

const suffix = '[0-7][0-9a-hjkmnp-tv-z]{25}';

function idSchema(prefix: IdPrefix) {
  return z.string().regex(new RegExp(`^${prefix}_${suffix}$`), `expected an id like ${prefix}_…`);
}

export const jobIdSchema = idSchema('job');
export const batchIdSchema = idSchema('bat');
export const eventIdSchema = idSchema('evt');
export const endpointIdSchema = idSchema('whk');
export const uploadIdSchema = idSchema('upl');

/** An event and its receiver: the same event queued twice for one receiver is one delivery. */
export const deliveryIdSchema = z
  .string()
  .regex(new RegExp(`^evt_${suffix}-(whk_${suffix}|url)$`), 'expected an id like evt_…-whk_…');
