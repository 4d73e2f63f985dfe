/** How often the main loop is asked, in milliseconds. */
export const ASK_EVERY_MS = 250;

/**
 * Judges from another thread whether the main loop is responsive. The loop is asked, and counts as silent for as long as the thread
 * itself has run without an answer, so that a process that was paused is not taken for one that hangs.
 */
export class MainLoopWatch {
  private readonly ask: () => void;
  private readonly limitMs: number;
  private isAsked = false;
  private silentMs = 0;
  private before: number;

  /** `now` in milliseconds, on a clock that does not jump. */
  constructor(options: { ask: () => void; limitMs: number; now: number }) {
    this.ask = options.ask;
    this.limitMs = options.limitMs;
    this.before = options.now;
  }

  answered(): void {
    this.isAsked = false;
    this.silentMs = 0;
  }

  /** To be called about every `ASK_EVERY_MS`. True once the main loop has been silent for the limit. */
  tick(now: number): boolean {
    const passed = now - this.before;
    this.before = now;
    if (!this.isAsked) {
      this.isAsked = true;
      this.ask();
      return false;
    }
    this.silentMs += Math.min(passed, 4 * ASK_EVERY_MS);
    return this.silentMs >= this.limitMs;
  }
}
