/** The start data of the lease's worker. */
export interface LeaseWorkerData {
  databaseUrl: string;
  leaseSeconds: number;
  /** How long the main loop may be silent before the process is ended, in seconds. */
  hungSeconds: number;
  /**
   * One bigint: the value of `process.hrtime.bigint()`, in nanoseconds, until which the lease is held; 0 if it is not held. Both threads read
   * it, so that a main loop that was busy learns the truth at once.
   */
  heldUntil: SharedArrayBuffer;
}

export function isLeaseWorkerData(value: unknown): value is LeaseWorkerData {
  return typeof value === 'object' && value !== null && 'heldUntil' in value && 'databaseUrl' in value;
}

export type ToLeaseWorker =
  /** Registers the server under a new id after it lost the previous one. */
  | { type: 'take'; id: string }
  /** The main loop is responsive. */
  | { type: 'answer' }
  /** Gives the lease back. */
  | { type: 'stop' };

export type FromLeaseWorker =
  | { type: 'held' }
  | { type: 'lost' }
  | { type: 'stopped' }
  | { type: 'failed'; message: string }
  /** Asks whether the main loop is responsive. `at` is a value of `process.hrtime.bigint()`. */
  | { type: 'ask'; at: bigint };
