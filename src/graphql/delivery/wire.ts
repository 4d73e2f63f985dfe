/** A wire on which more bytes than this are unsent is full. */
export const WIRE_BYTES = 64 * 1024;

/** Where the results of one subscription go. Each transport has its own. */
export interface Wire {
  /** Whether the peer is still served. Once false, it stays so. */
  readonly isOpen: boolean;
  /** Whether the peer has left more than `WIRE_BYTES` unread. */
  readonly isFull: boolean;
  /** Writes results, each as JSON, in whole frames and at once. */
  write(results: readonly Buffer[]): void;
  /** Resolves when nothing is unsent any more, or the connection is gone. */
  drained(): Promise<void>;
}
