import { type Commands, Program } from './process.ts';

/** One thing that is measured, each with what it could be at best. */
export interface Figure {
  what: string;
  unit: string;
  ours: number;
  /** Null where there is none to compare with. */
  limit: number | null;
}

export interface Result {
  title: string;
  figures: Figure[];
  /** What the limit is, and what else one must know to read the figures. */
  notes: string[];
}

/** A row of the table, or several that are measured together. */
export interface Row {
  name: string;
  run(bench: Bench): Promise<Result>;
}

/** What the rows are run with. */
export class Bench {
  readonly databaseUrl: string;
  readonly quick: boolean;
  private readonly running = new Set<{ stop(): Promise<void> }>();
  private readonly say: (line: string) => void;

  constructor(options: { databaseUrl: string; quick: boolean; say: (line: string) => void }) {
    this.databaseUrl = options.databaseUrl;
    this.quick = options.quick;
    this.say = options.say;
  }

  progress(line: string): void {
    this.say(line);
  }

  /** Starts a program, which ends with the row. */
  start<C extends Commands>(name: string, env: Record<string, string> = {}): Program<C> {
    const program = new Program<C>(name, { DATABASE_URL: this.databaseUrl, ...env });
    this.running.add(program);
    return program;
  }

  /** Stops the programs that are running. */
  async stop(): Promise<void> {
    const running = [...this.running];
    this.running.clear();
    await Promise.all(running.map((program) => program.stop()));
  }

  /**
   * Measures ours and the limit in turns, so that whatever else the machine does falls on both; returns what each gave. The
   * first turns, which are not counted, warm up: programs that run for long have been compiled.
   */
  async alternate<T>(
    rounds: number,
    measure: { ours: () => Promise<T>; limit: () => Promise<T> },
    warmUps = 1,
  ): Promise<{ ours: T[]; limit: T[] }> {
    const given: { ours: T[]; limit: T[] } = { ours: [], limit: [] };
    for (let round = 1 - warmUps; round <= rounds; round += 1) {
      for (const side of ['ours', 'limit'] as const) {
        this.progress(`  ${round < 1 ? 'warming up' : `round ${round} of ${rounds}`}: ${side}`);
        const result = await measure[side]();
        if (round >= 1) given[side].push(result);
      }
    }
    return given;
  }
}

/** The middle of some numbers, or any other part of them from 0 to 1. */
export function quantile(numbers: readonly number[], part = 0.5): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const [low, high] = [sorted[Math.floor(place)] ?? NaN, sorted[Math.ceil(place)] ?? NaN];
  return low + (high - low) * (place - Math.floor(place));
}
