/** More looks than these make the deadline no more exact. */
const looks = 20;
const longestSliceMs = 1000;

/**
 * Calls `late` once this process has run for `deadlineMs`, unless the function that it answers with is called before.
 * Time in which the process stood still, being stopped or starved, counts for two slices at most: whoever was waited for
 * has perhaps answered meanwhile, and is heard first.
 */
export function startDeadline(deadlineMs: number, late: () => void): () => void {
  const sliceMs = Math.min(longestSliceMs, deadlineMs / looks);
  let leftMs = deadlineMs;
  let lookedMs = performance.now();
  let timer = setTimeout(look, sliceMs);
  return () => clearTimeout(timer);

  function look(): void {
    const nowMs = performance.now();
    leftMs -= Math.min(nowMs - lookedMs, 2 * sliceMs);
    lookedMs = nowMs;
    if (leftMs <= 0) late();
    else timer = setTimeout(look, Math.min(sliceMs, leftMs));
  }
}
