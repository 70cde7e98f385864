import { typeid } from 'typeid-js';
import { z } from 'zod';

// Ids are TypeIDs (github.com/jetify-com/typeid/spec): a prefix and a UUIDv7 in Crockford base32,
// so that they sort by creation time and say what they name.
type IdPrefix = 'job' | 'evt' | 'att' | 'wrk';

/** A new id, for example `job_01h455vb4pex5vsknk084sn02q`. */
export function newId(prefix: IdPrefix): string {
  return typeid(prefix).toString();
}

function idSchema(prefix: IdPrefix) {
  return z
    .string()
    .regex(new RegExp(`^${prefix}_[0-7][0-9a-hjkmnp-tv-z]{25}$`), `expected an id like ${prefix}_…`);
}

export const jobIdSchema = idSchema('job');
export const eventIdSchema = idSchema('evt');
