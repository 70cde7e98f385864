import { readdirSync, readFileSync } from 'node:fs';

/** Stops this process's one decoding child in the middle of whatever it does, and answers its process id. */
export function stopDecoder(): number {
  const [pid, ...others] = decoderPids();
  if (pid === undefined || others.length > 0) throw new Error('expected one decoding child');
  process.kill(pid, 'SIGSTOP');
  return pid;
}

function decoderPids(): number[] {
  const children = readdirSync(`/proc/${process.pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${process.pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return children
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('decode-process.ts'))
    .map(Number);
}
