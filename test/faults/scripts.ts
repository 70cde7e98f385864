import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../e2e/system.ts';

/**
 * What a call of this script of the queue looks like on the wire, once Redis has it: its digest, then its keys, the
 * job's record first. Without a job: of any.
 */
export function callOf(name: 'create' | 'begin' | 'commit', jobId = ''): RegExp {
  const [prelude, script] = ['prelude', name].map((file) =>
    readFileSync(join(repositoryRoot, `packages/queue/lua/${file}.lua`), 'utf8'),
  );
  const digest = createHash('sha1').update(`${prelude}${script}`).digest('hex');
  return new RegExp(`${digest}\\r\\n\\$\\d+\\r\\n\\d+\\r\\n\\$\\d+\\r\\n\\S+${jobId}`);
}
