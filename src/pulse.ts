/** Runs a piece of work whenever it is asked to: never twice at once, again when it was asked meanwhile, and not too often. */
export class Pulse {
  private readonly work: () => Promise<void>;
  private readonly gapMs: number;
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private asked = false;
  private closed = false;

  /** `work` must not reject. It begins `gapMs` after it was asked for, so that those who ask meanwhile are served together. */
  constructor(gapMs: number, work: () => Promise<void>) {
    this.gapMs = gapMs;
    this.work = work;
  }

  ask(): void {
    if (this.closed) return;
    if (this.running) this.asked = true;
    else this.timer ??= setTimeout(() => this.run(), this.gapMs);
  }

  /** No work begins any more. Resolves when what runs has ended. */
  async close(): Promise<void> {
    this.closed = true;
    if (this.timer) clearTimeout(this.timer);
    await this.running;
  }

  private run(): void {
    this.timer = null;
    this.running = this.work().finally(() => {
      this.running = null;
      if (!this.asked) return;
      this.asked = false;
      this.ask();
    });
  }
}
