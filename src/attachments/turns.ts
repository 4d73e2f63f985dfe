/** How long after the one before a turn begins, in milliseconds. */
const GAP_MS = 2;

/** Calls back one after the other, with a gap before each: whatever else is to be done comes in between. */
export class Turns {
  private readonly waiting: (() => void)[] = [];

  /** Calls `go` when its turn comes. */
  wait(go: () => void): void {
    this.waiting.push(go);
    if (this.waiting.length === 1) this.schedule();
  }

  private schedule(): void {
    setTimeout(() => {
      const go = this.waiting.shift();
      if (this.waiting.length > 0) this.schedule();
      go?.();
    }, GAP_MS);
  }
}

/**
 * Those of all files that come in. A piece of 64 KiB costs about as much as a small request: all files together take no more of a server
 * than a few hundred of those a second, and bring about 25 MB.
 */
export const intakeTurns = new Turns();
