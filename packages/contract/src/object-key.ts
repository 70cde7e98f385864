// Names of what workers put into the system bucket for the API to find.

/** What the keys of a job's pages begin with. */
export function pagesPrefix(jobId: string): string {
  return `pages/${jobId}/`;
}

/** A page, counted from 1, as it stands in the result. */
export function pageKey(jobId: string, number: number): string {
  return `${pagesPrefix(jobId)}${number}.json`;
}
