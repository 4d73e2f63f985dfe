import { UnavailableError } from '../errors.ts';
import { FairQueue } from '../fair-queue.ts';
import { KeyedGate } from '../keyed-gate.ts';

export interface TransferLimits {
  /** How many run at the same time. */
  atOnce: number;
  /** How many more may run if their organizations have none running, so that no organization keeps all others out. */
  spare: number;
  /** How many of one sender may have their turn, and how many more of theirs may wait for that. */
  ofPerson: { atOnce: number; waiting: number };
  ofProgram: { atOnce: number; waiting: number };
  /** How many may wait. */
  waiting: number;
  /** How long one may wait, in milliseconds. */
  waitMs: number;
}

/** Whose transfer it is. */
export interface Sender {
  organizationId: string;
  /** The caller, or the network of who has only a link. */
  id: string;
  /** Whether it is a person with a client token or a link, and not a key or an operator. */
  isPerson: boolean;
}

/** Limits how many files are on their way at the same time. Those that wait take turns by organization, then by sender. */
export class TransferGate {
  private readonly limits: TransferLimits;
  private readonly queue = new FairQueue<() => void>();
  private readonly running = new Map<string, number>();
  private readonly persons: KeyedGate;
  private readonly programs: KeyedGate;
  private total = 0;

  constructor(limits: TransferLimits) {
    this.limits = limits;
    const common = { waitMs: limits.waitMs, refusal: REFUSAL };
    this.persons = new KeyedGate({ ...limits.ofPerson, ...common });
    this.programs = new KeyedGate({ ...limits.ofProgram, ...common });
  }

  /**
   * Runs the work when its turn comes. Throws `UnavailableError`, before starting it, if too many wait or it has waited too long;
   * throws the signal's reason if that aborts first.
   */
  run<T>({ organizationId, id, isPerson }: Sender, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return (isPerson ? this.persons : this.programs).run(`${organizationId} ${id}`, async () => {
      signal.throwIfAborted();
      if (this.mayStart(organizationId)) this.begin(organizationId);
      else await this.wait([organizationId, id], signal);
      try {
        return await work();
      } finally {
        this.total -= 1;
        count(this.running, organizationId, -1);
        if (this.total < this.limits.atOnce) this.queue.take()?.();
      }
    });
  }

  private mayStart(organizationId: string): boolean {
    const { atOnce, spare } = this.limits;
    if (this.total < atOnce) return true;
    return this.total < atOnce + spare && !this.running.has(organizationId);
  }

  private begin(organizationId: string): void {
    this.total += 1;
    count(this.running, organizationId, 1);
  }

  private wait(line: [organizationId: string, sender: string], signal: AbortSignal): Promise<void> {
    if (this.queue.size >= this.limits.waiting) return Promise.reject(refusal());
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
      };
      const enter = () => {
        leave();
        this.begin(line[0]);
        resolve();
      };
      const giveUp = () => {
        leave();
        this.queue.remove(line, enter);
        reject(signal.aborted ? (signal.reason as Error) : refusal());
      };
      const timer = setTimeout(giveUp, this.limits.waitMs);
      signal.addEventListener('abort', giveUp);
      this.queue.add(line, enter);
    });
  }
}

const REFUSAL = 'Too many files are on their way. Try again.';
const refusal = () => new UnavailableError(REFUSAL, 5);

function count(counts: Map<string, number>, key: string, by: number): void {
  const sum = (counts.get(key) ?? 0) + by;
  if (sum > 0) counts.set(key, sum);
  else counts.delete(key);
}

/** So many files come in at the same time. */
export const uploadLimits: TransferLimits = {
  atOnce: 16,
  spare: 4,
  ofPerson: { atOnce: 4, waiting: 20 },
  ofProgram: { atOnce: 16, waiting: 400 },
  waiting: 1000,
  waitMs: 120_000,
};

/** So many files go out at the same time. */
export const downloadLimits: TransferLimits = {
  atOnce: 64,
  spare: 16,
  ofPerson: { atOnce: 16, waiting: 100 },
  ofProgram: { atOnce: 16, waiting: 100 },
  waiting: 1000,
  waitMs: 30_000,
};
