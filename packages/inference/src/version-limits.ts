/** Bounds on following the versions in a repository; the defaults are below. */
export interface VersionLimits {
  /** How often a model's directory is looked at; a new version is loaded once two looks found the same files. */
  lookMs: number;
  /** What a version that goes has for the items it holds; then those that name no version are read by another. */
  drainMs: number;
}

export const defaultVersionLimits: VersionLimits = { lookMs: 5000, drainMs: 60_000 };
