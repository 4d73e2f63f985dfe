import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds on a clock that all processes of this machine share. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** What is due for longer, in milliseconds, is not made up for: a server that is too slow slows its agents down. */
const OVERDUE_MS = 200;

/** Paces any number of voices, which it can hold up. */
export class Metronome {
  private perSecond: number;
  private together = 1;
  private since = now();
  private isOver = false;
  private readonly waiting = new Set<() => void>();

  /** At 0 it stands still. */
  constructor(perSecond: number) {
    this.perSecond = perSecond;
  }

  /** That many beats come `together`, each time all of them are due. */
  setPace(perSecond: number, together = 1): void {
    this.perSecond = perSecond;
    this.together = together;
    this.since = now();
    this.wake();
  }

  end(): void {
    this.isOver = true;
    this.wake();
  }

  /**
   * Counts from 0 for one voice: the first at once, the others at the pace, each voice with its own phase. As from a
   * socket, beats that have become due meanwhile come together, and others only once other work has been let in.
   */
  async *beats(): AsyncGenerator<number, void, undefined> {
    yield 0;
    let since = NaN;
    let due = 0;
    let heard = 0;
    for (let count = 1; !this.isOver;) {
      if (this.perSecond === 0) {
        await new Promise<void>((resolve) => this.waiting.add(resolve));
      } else if (since !== this.since) {
        since = this.since;
        due = since + (Math.random() * 1000 * this.together) / this.perSecond;
      } else if (due <= heard) {
        due += (1000 * this.together) / this.perSecond;
        for (const end = count + this.together; count < end; count += 1) yield count;
      } else {
        const wait = due - now();
        await (wait > 0 ? sleep(wait) : immediate());
        heard = now();
        due = Math.max(due, heard - OVERDUE_MS);
      }
    }
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}
