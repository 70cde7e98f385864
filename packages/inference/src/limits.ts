/** Bounds on instances and queues; the defaults are below. */
export interface Limits {
  /** One micro-batch; a silent instance is killed and replaced. */
  runTimeoutMs: number;
  /** Loading and warming one instance; on a GPU every width and batch size is run once. */
  startTimeoutMs: number;
  /** An instance above this is replaced between two micro-batches: the runtime gives no memory back. */
  instanceMemoryBytes: number;
  /** Wait before an instance is started again, doubled with every failure in a row. */
  restartDelayMs: number;
  maxRestartDelayMs: number;
  /** An instance that fails to start this often in a row stays dead. */
  maxFailedStarts: number;
  /** An item that was alone when it lost its instance fails once it lost this many. */
  maxItemLosses: number;
  /** Items of one model version that may wait; one more is `overloaded`. */
  maxWaitingItems: number;
}

export const defaultLimits: Limits = {
  runTimeoutMs: 30_000,
  startTimeoutMs: 180_000,
  instanceMemoryBytes: 2 * 1024 ** 3,
  restartDelayMs: 100,
  maxRestartDelayMs: 10_000,
  maxFailedStarts: 5,
  maxItemLosses: 3,
  maxWaitingItems: 8192,
};
