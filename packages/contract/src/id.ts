import { TypeID, typeid } from 'typeid-js';
import { z } from 'zod';

// Ids are TypeIDs (github.com/jetify-com/typeid/spec): a prefix and a UUIDv7 in Crockford base32,
// so that they sort by creation time and say what they name.
type IdPrefix = 'job' | 'evt' | 'whk' | 'att' | 'wrk';

/** A new id, for example `job_01h455vb4pex5vsknk084sn02q`. */
export function newId(prefix: IdPrefix): string {
  return typeid(prefix).toString();
}

/** When an id was made, in milliseconds since 1970: the first 48 bits of its UUIDv7. */
export function timeOfId(id: string): number {
  return Number.parseInt(TypeID.fromString(id).toUUID().replaceAll('-', '').slice(0, 12), 16);
}

const suffix = '[0-7][0-9a-hjkmnp-tv-z]{25}';

function idSchema(prefix: IdPrefix) {
  return z.string().regex(new RegExp(`^${prefix}_${suffix}$`), `expected an id like ${prefix}_…`);
}

export const jobIdSchema = idSchema('job');
export const eventIdSchema = idSchema('evt');
export const endpointIdSchema = idSchema('whk');

/** An event and its receiver: the same event queued twice for one receiver is one delivery. */
export const deliveryIdSchema = z
  .string()
  .regex(new RegExp(`^evt_${suffix}-(whk_${suffix}|url)$`), 'expected an id like evt_…-whk_…');
