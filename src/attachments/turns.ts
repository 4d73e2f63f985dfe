/** Calls back one after the other, each in a turn of the event loop of its own: whatever else is to be done comes in between. */
export class Turns {
  private readonly waiting: (() => void)[] = [];

  /** Calls `go` when its turn comes. */
  wait(go: () => void): void {
    this.waiting.push(go);
    if (this.waiting.length === 1) this.schedule();
  }

  private schedule(): void {
    setImmediate(() => {
      const go = this.waiting.shift();
      if (this.waiting.length > 0) this.schedule();
      go?.();
    });
  }
}

/** Those of all files that come in. A piece of 64 KiB costs about as much as a small request. */
export const intakeTurns = new Turns();
