import { LRUCache } from 'lru-cache';
import type { Logger } from '../logger.ts';

/** The length of a window, in milliseconds. A window begins when its first point is spent. */
export const WINDOW_MS = 60_000;

/** How long a request may wait for the store, in milliseconds. */
export const STORE_MS = 1000;

/** How often a row that is locked in the store is tried again, in milliseconds. */
const RETRY_MS = 20;

/** How long an answer of the store is trusted, and how long the store is not asked after a failure, in milliseconds. */
const BELIEVED_MS = 1000;

/** A key without reservations for this many milliseconds starts with small blocks again. */
const QUIET_MS = 10_000;

const MOST_KEYS = 100_000;
const MOST_IN_ONE_STATEMENT = 500;

/** A request to the store for points of a key: at least `atLeast` or none, at most `atMost`, out of its `limit`. */
export interface Reservation {
  key: string;
  limit: number;
  atLeast: number;
  atMost: number;
}

/** The points that the store granted, and those left in it until the window ends. */
export interface Reserved {
  granted: number;
  left: number;
  resetMs: number;
}

/** The store in which all servers count together. */
export interface WindowStore {
  /**
   * Reserves points for several keys, each named at most once, in one round trip. A key missing from the answer was locked just
   * then. Rejects if the store cannot be reached or does not answer within `STORE_MS`.
   */
  reserve(asked: readonly Reservation[]): Promise<Map<string, Reserved>>;
  close(): Promise<void>;
}

/** What a key may still spend in its window. */
export interface Allowance {
  allowed: boolean;
  limit: number;
  remaining: number;
  /** Seconds until the whole limit is available again. */
  resetSeconds: number;
}

interface Waiter {
  amount: number;
  since: number;
  decide: (allowance: Allowance) => void;
}

/** The window of one key on this server. Times are from the monotonic clock of the process. */
class Window {
  readonly key: string;
  readonly limit: number;
  readonly waiting: Waiter[] = [];
  /** Points reserved by this server and not spent. */
  held = 0;
  /** Points that the store had left when last asked. */
  left: number;
  endsAt = 0;
  askedAt = -Infinity;
  /** Points reserved ahead at a time. Grows when used up quickly, to at most a twentieth of the limit. */
  block = 1;
  /** While the store fails: until when this server counts alone, what it has counted, and when that count ends. */
  aloneUntil = 0;
  aloneSpent = 0;
  aloneEndsAt = 0;

  constructor(key: string, limit: number) {
    this.key = key;
    this.limit = limit;
    this.left = limit;
  }

  get largestBlock(): number {
    return Math.max(1, Math.floor(this.limit / 20));
  }
}

/**
 * Counts what keys spend in windows of a minute, across all servers. A server reserves points ahead and spends them from memory,
 * so that a busy key writes only a few rows a second and a limit is never exceeded. Points that a server has reserved and not
 * spent, less than a twentieth of the limit, are not available to others.
 *
 * A failed or slow store, or a row that stays locked, does not block requests. After `STORE_MS` the server decides by its own
 * count, up to the whole limit. Refusing everybody because nobody can be counted would turn
 * a small fault into an outage.
 */
export class RateWindows {
  private readonly store: WindowStore;
  private readonly logger: Logger;
  private readonly windows = new LRUCache<string, Window>({ max: MOST_KEYS });
  /** Windows for which the store still has to be asked. */
  private readonly asking = new Set<Window>();
  private readonly locked = new Set<Window>();
  private retryTimer: NodeJS.Timeout | undefined;
  private flushing: Promise<void> | undefined;
  private aloneUntil = 0;
  private inTrouble = false;

  constructor(store: WindowStore, logger: Logger) {
    this.store = store;
    this.logger = logger;
  }

  /** Spends this many points of a key, or none. Never rejects. */
  async take(key: string, limit: number, amount: number): Promise<Allowance> {
    const window = this.windowOf(key, limit);
    const now = performance.now();
    if (now >= window.endsAt) window.held = 0;
    if (now < Math.max(this.aloneUntil, window.aloneUntil)) return decideAlone(window, amount, now);
    if (window.waiting.length === 0) {
      if (amount <= window.held) {
        window.held -= amount;
        return allowance(window, true, now);
      }
      const believed = now < window.endsAt && now - window.askedAt < BELIEVED_MS;
      if (amount > limit || (believed && amount > window.held + window.left)) return allowance(window, false, now);
    }
    return new Promise((decide) => {
      window.waiting.push({ amount, since: now, decide });
      if (!this.locked.has(window)) this.ask(window);
    });
  }

  /** Spends this many points of a key, or all that are left. Never rejects. */
  async spend(key: string, limit: number, amount: number): Promise<void> {
    await this.reserveNow({ key, limit, atLeast: 1, atMost: amount });
  }

  /** Whether a key has any points left, and when it has all of them again. Never rejects. */
  async look(key: string, limit: number): Promise<{ left: boolean; resetSeconds: number }> {
    const found = await this.reserveNow({ key, limit, atLeast: 0, atMost: 0 });
    return found ? { left: found.left > 0, resetSeconds: seconds(found.resetMs) } : { left: true, resetSeconds: 1 };
  }

  /** Stops counting. Requests that still wait are decided by this server alone. */
  async close(): Promise<void> {
    this.aloneUntil = Infinity;
    clearTimeout(this.retryTimer);
    for (const window of [...this.asking, ...this.locked]) this.giveUp(window);
    await this.flushing;
    await this.store.close();
  }

  private windowOf(key: string, limit: number): Window {
    const known = this.windows.get(key);
    if (known?.limit === limit) return known;
    const window = new Window(key, limit);
    this.windows.set(key, window);
    return window;
  }

  private async reserveNow(reservation: Reservation): Promise<Reserved | undefined> {
    if (performance.now() < this.aloneUntil) return undefined;
    try {
      return (await this.store.reserve([reservation])).get(reservation.key);
    } catch (error) {
      this.storeIsAway(error);
      return undefined;
    }
  }

  private ask(window: Window): void {
    this.asking.add(window);
    this.flushing ??= this.flush();
  }

  /** Asks the store for all windows that wait, one statement at a time. */
  private async flush(): Promise<void> {
    // Requests of the same turn of the event loop share the statement.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.asking.size > 0) {
      const windows = [...this.asking].slice(0, MOST_IN_ONE_STATEMENT);
      const sentAt = performance.now();
      const asked = windows.map((window) => reservationFor(window, sentAt));
      try {
        const answers = await this.store.reserve(asked);
        this.inTrouble = false;
        for (const window of windows) {
          this.asking.delete(window);
          const answer = answers.get(window.key);
          if (answer) this.settle(window, answer, sentAt);
          else this.retryLater(window);
        }
      } catch (error) {
        this.storeIsAway(error);
        for (const window of this.asking) this.giveUp(window);
      }
    }
    // Must happen in the same turn as the last check of the set. Otherwise a window added in between would wait for ever.
    this.flushing = undefined;
  }

  private settle(window: Window, { granted, left, resetMs }: Reserved, sentAt: number): void {
    // Counted from before the request, so that nothing is spent after the window has ended.
    const endsAt = sentAt + resetMs;
    const isNext = endsAt - window.endsAt > WINDOW_MS / 2;
    Object.assign(window, { held: granted + (isNext ? 0 : window.held), left, endsAt });
    const now = performance.now();
    for (let head = window.waiting[0]; head; head = window.waiting[0]) {
      const allowed = head.amount <= window.held;
      if (!allowed && head.amount <= window.held + left) return this.ask(window);
      if (allowed) window.held -= head.amount;
      window.waiting.shift();
      head.decide(allowance(window, allowed, now));
    }
  }

  private retryLater(window: Window): void {
    const [first] = window.waiting;
    if (first && performance.now() - first.since > STORE_MS) {
      window.aloneUntil = performance.now() + BELIEVED_MS;
      this.logger.warn({ key: window.key }, 'a rate limit is locked in its store: this server counts for itself');
      return this.giveUp(window);
    }
    this.locked.add(window);
    this.retryTimer ??= setTimeout(() => {
      this.retryTimer = undefined;
      for (const each of this.locked) this.ask(each);
      this.locked.clear();
    }, RETRY_MS);
  }

  private storeIsAway(error: unknown): void {
    this.aloneUntil = Math.max(this.aloneUntil, performance.now() + BELIEVED_MS);
    if (!this.inTrouble) {
      this.logger.warn({ err: error }, 'the store of the rate limits is away: this server counts for itself');
    }
    this.inTrouble = true;
  }

  private giveUp(window: Window): void {
    this.asking.delete(window);
    this.locked.delete(window);
    const now = performance.now();
    for (const { amount, decide } of window.waiting.splice(0)) decide(decideAlone(window, amount, now));
  }
}

/**
 * What to ask the store for: the points of all waiters up to the first that wants more than a block, and a block ahead. If the
 * first waiter wants more than a block, it is asked for alone, since it gets all or nothing.
 */
function reservationFor(window: Window, now: number): Reservation {
  const { key, limit, waiting, largestBlock } = window;
  if (now >= window.endsAt) window.held = 0;
  if (now - window.askedAt > QUIET_MS) window.block = 1;
  else if (now - window.askedAt < BELIEVED_MS) window.block = Math.min(window.block * 4, largestBlock);
  window.askedAt = now;
  const [first] = waiting;
  if (first && first.amount > largestBlock) {
    const missing = first.amount - window.held;
    return { key, limit, atLeast: missing, atMost: missing };
  }
  const large = waiting.findIndex(({ amount }) => amount > largestBlock);
  const small = large < 0 ? waiting : waiting.slice(0, large);
  const missing = small.reduce((sum, { amount }) => sum + amount, -window.held);
  return { key, limit, atLeast: 1, atMost: missing + window.block - 1 };
}

function decideAlone(window: Window, amount: number, now: number): Allowance {
  if (now >= window.aloneEndsAt) Object.assign(window, { aloneSpent: 0, aloneEndsAt: now + WINDOW_MS });
  const { limit } = window;
  const allowed = window.aloneSpent + amount <= limit;
  if (allowed) window.aloneSpent += amount;
  return { allowed, limit, remaining: limit - window.aloneSpent, resetSeconds: seconds(window.aloneEndsAt - now) };
}

function allowance(window: Window, allowed: boolean, now: number): Allowance {
  const { limit, held, left, endsAt } = window;
  const isOver = now >= endsAt;
  const remaining = isOver ? limit : Math.min(limit, held + left);
  return { allowed, limit, remaining, resetSeconds: seconds(isOver ? WINDOW_MS : endsAt - now) };
}

function seconds(milliseconds: number): number {
  return Math.max(1, Math.ceil(milliseconds / 1000));
}
