import { UnavailableError } from '../errors.ts';

export interface SearchLimits {
  /** How many searches run at a time; each holds a database connection. */
  running: number;
  /** How many wait for their turn, and for how many milliseconds at most. */
  waiting: number;
  waitMs: number;
  /** How many of both may be of one corpus, so that the questions of one leave room for those of others. */
  ofOneCorpus: number;
}

export const searchLimits: SearchLimits = { running: 4, waiting: 60, waitMs: 2000, ofOneCorpus: 32 };

/** Lets a few searches run, has some wait a little in the order of their coming, and refuses the others at once. */
export class SearchGate {
  private readonly limits: SearchLimits;
  private readonly ofCorpus = new Map<string, number>();
  private readonly queue = new Set<() => void>();
  private running = 0;

  constructor(limits: SearchLimits = searchLimits) {
    this.limits = limits;
  }

  /** The work's outcome, once it is its turn. Throws `UnavailableError` with nothing done when there are too many. */
  async run<T>(corpusId: string, work: () => Promise<T>): Promise<T> {
    const { running, waiting, ofOneCorpus } = this.limits;
    const own = this.ofCorpus.get(corpusId) ?? 0;
    if (own >= ofOneCorpus || (this.running >= running && this.queue.size >= waiting)) throw busy();
    this.ofCorpus.set(corpusId, own + 1);
    try {
      if (this.running >= running) await this.turn();
      else this.running += 1;
      try {
        return await work();
      } finally {
        this.next();
      }
    } finally {
      const left = (this.ofCorpus.get(corpusId) ?? 1) - 1;
      if (left > 0) this.ofCorpus.set(corpusId, left);
      else this.ofCorpus.delete(corpusId);
    }
  }

  /** Resolves when whoever is done hands over its place. */
  private turn(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.queue.delete(begin);
        reject(busy());
      }, this.limits.waitMs);
      const begin = () => {
        clearTimeout(timer);
        resolve();
      };
      this.queue.add(begin);
    });
  }

  private next(): void {
    const [first] = this.queue;
    if (!first) {
      this.running -= 1;
      return;
    }
    this.queue.delete(first);
    first();
  }
}

function busy(): UnavailableError {
  return new UnavailableError('Too many questions are being looked up at the moment. Try again in a second.', 1);
}
