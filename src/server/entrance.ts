import { FairQueue } from '../fair-queue.ts';

/** How long a request waits to be begun, in milliseconds: long enough for many that come at once. */
const WAIT_MS = 3000;
/**
 * How long it waits where, for as long as that, there has always been one that waited: more come than can be begun, and a longer queue
 * would only make each of them wait longer.
 */
const STANDING_WAIT_MS = 1000;
/**
 * How many turns of the event loop may be left to those who connect. Each request that begins gives one back: whoever connects again and
 * again takes every other turn at most.
 */
const CONNECTING_TURNS = 50;

interface Waiting {
  begin(mayBegin: boolean): void;
}

/**
 * Begins one request in a turn of the event loop. Node accepts one connection in a turn: were all that has arrived begun at once, turns
 * would take so long that those who only just connect would wait for minutes. Networks take turns, and who waits too long is refused.
 */
export class Entrance {
  private readonly waitMs: number;
  private readonly standingWaitMs: number;
  /** When nothing waited, on the clock of `performance`. */
  private emptyAt = 0;
  private readonly queue = new FairQueue<Waiting>();
  private isScheduled = false;
  private isConnecting = false;
  private connectingTurns = CONNECTING_TURNS;

  constructor({ waitMs = WAIT_MS, standingWaitMs = STANDING_WAIT_MS } = {}) {
    this.waitMs = waitMs;
    this.standingWaitMs = standingWaitMs;
  }

  /** Tells that a peer has connected: others may be about to. */
  connected(): void {
    this.isConnecting = true;
  }

  /** True when a request of this network may begin, at once if nothing else does. False if it has waited for too long. */
  enter(network: string): boolean | Promise<boolean> {
    if (!this.isScheduled && !this.isConnecting) {
      this.schedule();
      return true;
    }
    if (this.queue.size === 0) this.emptyAt = performance.now();
    const isStanding = performance.now() - this.emptyAt > this.standingWaitMs;
    const waitMs = isStanding ? this.standingWaitMs : this.waitMs;
    return new Promise((resolve) => {
      const waiting: Waiting = {
        begin(mayBegin) {
          clearTimeout(giveUp);
          resolve(mayBegin);
        },
      };
      const giveUp = setTimeout(() => {
        if (this.queue.remove([network], waiting)) waiting.begin(false);
      }, waitMs);
      this.queue.add([network], waiting);
      this.schedule();
    });
  }

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setImmediate(() => {
      this.isScheduled = false;
      const waits = this.isConnecting && this.connectingTurns > 0;
      this.isConnecting = false;
      this.connectingTurns = waits ? this.connectingTurns - 1 : Math.min(this.connectingTurns + 1, CONNECTING_TURNS);
      if (!waits) this.queue.take()?.begin(true);
      if (this.queue.size > 0) this.schedule();
    });
  }
}
