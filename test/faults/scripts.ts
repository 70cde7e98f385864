import { loadScript } from '@glyphmill/queue/script';

/**
 * What a call of this script of the queue looks like on the wire, once Redis has it: its digest, then its keys, the
 * job's record first. Without a job: of any.
 */
export function callOf(name: 'batch-advance' | 'create' | 'begin' | 'commit', jobId = ''): RegExp {
  const { digest } = loadScript(name);
  return new RegExp(`${digest}\\r\\n\\$\\d+\\r\\n\\d+\\r\\n\\$\\d+\\r\\n\\S+${jobId}`);
}
