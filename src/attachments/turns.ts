/** The shortest and the longest gap between two turns, in milliseconds. */
const SHORTEST_GAP_MS = 2;
const LONGEST_GAP_MS = 10;
/** How many times as long a gap is as the turn of the event loop before it. */
const GAP_IN_TURNS = 2;

/**
 * Calls back one after the other, with a gap before each, in which whatever else is to be done is done: the longer, the more the
 * server has to do.
 */
export class Turns {
  private readonly waiting: (() => void)[] = [];

  /** Calls `go` when its turn comes. */
  wait(go: () => void): void {
    this.waiting.push(go);
    if (this.waiting.length === 1) this.schedule(SHORTEST_GAP_MS);
  }

  private schedule(gapMs: number): void {
    setTimeout(() => {
      const began = performance.now();
      setImmediate(() => {
        this.waiting.shift();
        const tookMs = performance.now() - began;
        if (this.waiting.length > 0) this.schedule(gapAfter(tookMs));
      });
      this.waiting[0]?.();
    }, gapMs);
  }
}

/** How long after a turn of so many milliseconds the next one begins. */
function gapAfter(tookMs: number): number {
  return Math.min(Math.max(SHORTEST_GAP_MS, GAP_IN_TURNS * tookMs), LONGEST_GAP_MS);
}

/**
 * Those of all files that come in. A piece of 64 KiB costs about as much as a small request: all files together bring about 20 MB a
 * second, and less where the server has much else to do.
 */
export const intakeTurns = new Turns();
