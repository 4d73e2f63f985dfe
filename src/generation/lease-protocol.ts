/** What the lease's worker is started with. */
export interface LeaseWorkerData {
  databaseUrl: string;
  leaseSeconds: number;
  /** So long may the main loop not answer before the process is ended, in seconds. */
  hungSeconds: number;
  /**
   * One bigint: the nanosecond of `process.hrtime.bigint()` up to which the lease is held; 0 when it is not. Both threads read
   * it, so that a main loop that was busy knows at once.
   */
  heldUntil: SharedArrayBuffer;
}

export function isLeaseWorkerData(value: unknown): value is LeaseWorkerData {
  return typeof value === 'object' && value !== null && 'heldUntil' in value && 'databaseUrl' in value;
}

export type ToLeaseWorker =
  /** Registers the server under this id, after it lost the one before. */
  | { type: 'take'; id: string }
  /** The main loop turns. */
  | { type: 'answer' }
  /** Gives the lease back. */
  | { type: 'stop' };

export type FromLeaseWorker =
  | { type: 'held' }
  | { type: 'lost' }
  | { type: 'stopped' }
  | { type: 'failed'; message: string }
  /** Asks whether the main loop turns; `at` is of `process.hrtime.bigint()`. */
  | { type: 'ask'; at: bigint };
