import { UnavailableError } from './errors.ts';

export interface GateLimits {
  /** How many of one key run at the same time. */
  atOnce: number;
  /** How many of one key may wait. */
  waiting: number;
  /** How long one may wait, in milliseconds. */
  waitMs: number;
  /** The error message for those that are refused. */
  refusal: string;
}

interface Entry {
  working: number;
  queue: Set<() => void>;
}

/** Limits how many of one key run at the same time, so that those waiting for one thing do not take resources from others. */
export class KeyedGate {
  private readonly limits: GateLimits;
  private readonly entries = new Map<string, Entry>();

  constructor(limits: GateLimits) {
    this.limits = limits;
  }

  /** Runs the work when its turn comes. Throws `UnavailableError`, before starting it, if too many wait or it has waited too long. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const entry = this.entries.get(key) ?? { working: 0, queue: new Set() };
    this.entries.set(key, entry);
    if (entry.working < this.limits.atOnce) entry.working += 1;
    else await this.wait(entry);
    try {
      return await work();
    } finally {
      // The next in line takes this place.
      const [next] = entry.queue;
      if (next) next();
      else entry.working -= 1;
      if (entry.working === 0) this.entries.delete(key);
    }
  }

  private wait({ queue }: Entry): Promise<void> {
    const { waiting, waitMs, refusal } = this.limits;
    const refused = () => new UnavailableError(refusal, 1);
    if (queue.size >= waiting) return Promise.reject(refused());
    return new Promise((resolve, reject) => {
      const enter = () => {
        queue.delete(enter);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        queue.delete(enter);
        reject(refused());
      }, waitMs);
      queue.add(enter);
    });
  }
}
