/** What a check found; `detail` is for people. */
export interface Check {
  ok: boolean;
  detail: string;
}

export interface Readiness {
  ready: boolean;
  checks: Record<string, Check>;
}

/** How long one check may take before it counts as failed. */
const checkDeadlineMs = 1500;

/** Runs all checks side by side; one that throws or takes too long has failed. */
export async function checkReadiness(checks: Record<string, () => Promise<Check>>): Promise<Readiness> {
  const entries = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)] as const),
  );
  return { ready: entries.every(([, { ok }]) => ok), checks: Object.fromEntries(entries) };
}

async function runCheck(check: () => Promise<Check>): Promise<Check> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<Check>((resolve) => {
    timer = setTimeout(
      () => resolve({ ok: false, detail: `no answer within ${checkDeadlineMs} ms` }),
      checkDeadlineMs,
    );
  });
  try {
    return await Promise.race([check(), deadline]);
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
