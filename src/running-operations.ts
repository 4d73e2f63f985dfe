import { Roster } from './roster.ts';

/** How many names are reported at most. */
const MAX_NAMES = 20;
/** An ended operation is remembered if it took at least this long, in milliseconds. Only the latest ones are kept. */
const WORTH_KEEPING_MS = 500;
const MAX_KEPT = 50;

/** Something that this server is doing. */
export interface RunningOperation {
  name: string;
  /** Harmless to repeat. */
  readonly end: () => void;
}

/** What this server is doing, so that the logger can report what blocked everything else. */
export class RunningOperations {
  private readonly running = new Roster<RunningOperation>();
  private ended: { name: string; at: number }[] = [];
  private readonly now: () => number;

  /** `now` is a monotonic clock, in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  begin(name: string): RunningOperation {
    const begun = this.now();
    const operation: RunningOperation = {
      name,
      end: () => {
        if (!leave() || this.now() - begun < WORTH_KEEPING_MS) return;
        this.ended.push({ name: operation.name, at: this.now() });
        if (this.ended.length > MAX_KEPT) this.ended.shift();
      },
    };
    const leave = this.running.add(operation);
    return operation;
  }

  /** Runs `work` as an operation. */
  during<T>(name: string, work: () => T): T {
    const operation = this.begin(name);
    try {
      const result = work();
      if (result instanceof Promise) void result.then(operation.end, operation.end);
      else operation.end();
      return result;
    } catch (error) {
      operation.end();
      throw error;
    }
  }

  /** What was running during the last milliseconds, with counts. Long operations that have just ended come first. */
  lately(milliseconds: number): string[] {
    const since = this.now() - milliseconds;
    const counts = new Map<string, number>();
    const names = [
      ...this.ended.filter(({ at }) => at >= since).map(({ name }) => name),
      ...[...this.running].reverse().map(({ name }) => name),
    ];
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    const told = [...counts].slice(0, MAX_NAMES).map(([name, count]) => (count === 1 ? name : `${name} (${count})`));
    return counts.size > MAX_NAMES ? [...told, `and ${counts.size - MAX_NAMES} more`] : told;
  }
}
