import type { EventRowsReader } from '../../conversations/schema/event-rows.ts';
import type { Follower, Step } from '../../conversations/stream/follower.ts';
import type { Selection } from '../../conversations/stream/stream.ts';
import type { StreamEvent } from '../../conversations/stream/stream-event.ts';
import type { Executor } from './executor.ts';

/** The next result as JSON, or why there is none: nothing is new, or nothing will follow. */
export type Result = Buffer | 'CAUGHT_UP' | 'OVER';

/** Reads the results of one subscription, or of several that stand at the same place. */
export class ResultReader {
  readonly follower: Follower;
  private readonly rows: EventRowsReader;
  private readonly executor: Executor;
  private readonly selection: Selection;
  private first: StreamEvent | null;
  private isOver = false;

  constructor(options: {
    follower: Follower;
    rows: EventRowsReader;
    executor: Executor;
    selection: Selection;
    /** An event that comes before those of the follower. */
    first?: StreamEvent | null;
  }) {
    this.follower = options.follower;
    this.rows = options.rows;
    this.executor = options.executor;
    this.selection = options.selection;
    this.first = options.first ?? null;
  }

  /** At once for most deltas. */
  next(): Result | Promise<Result> {
    for (;;) {
      if (this.isOver) return 'OVER';
      const step = this.first ?? this.follower.next();
      this.first = null;
      if (step instanceof Promise) return step.then((settled) => this.resultOf(settled) ?? this.next());
      const result = this.resultOf(step);
      if (result !== null) return result;
    }
  }

  leave(): void {
    this.isOver = true;
    this.follower.leave();
  }

  /** Null if nobody is told of it. */
  private resultOf(step: Step): Result | Promise<Result> | null {
    if (typeof step === 'string') return step;
    this.isOver ||= this.selection.endsWith(step);
    if (!this.selection.includes(step)) return null;
    const event = this.rows.read(step);
    if (!(event instanceof Promise)) return event && this.executor.resultOf(event);
    return event.then((read) => (read ? this.executor.resultOf(read) : this.next()));
  }
}
