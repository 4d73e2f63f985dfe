import type { ExecutionResult } from 'graphql';
import { LogWentBackError } from '../../conversations/log/epoch.ts';
import type { ReaderState } from '../../conversations/stream/follower.ts';
import { startOver } from '../errors.ts';
import type { Operation } from './executor.ts';
import type { Group, Member } from './group.ts';
import type { Groups } from './groups.ts';
import type { LiveSource } from './live-source.ts';
import type { ResultReader } from './result-reader.ts';
import type { Wire } from './wire.ts';

type End = IteratorResult<ExecutionResult, undefined>;

const end: End = { done: true, value: undefined };

/**
 * A subscription whose results go straight to its wire. To its transport it is an iterator that yields nothing, and ends or fails
 * when the subscription does. It begins when it is first asked.
 */
export class Subscriber implements Member, AsyncIterableIterator<ExecutionResult> {
  readonly wire: Wire;
  private readonly group: Group;
  private readonly release: () => void;
  /** What it reads alone. Null while it is a member of its group, and at the end. */
  private reader: ResultReader | null;
  private waiting: AbortController | null = null;
  private ended: Promise<End> | null = null;
  private settle: { resolve: (end: End) => void; reject: (error: unknown) => void } | null = null;
  private isOver = false;

  constructor(groups: Groups, source: LiveSource, operation: Operation) {
    const { wire } = source.context;
    if (!wire) throw new Error('A subscription needs a wire.');
    const { group, leave } = groups.enter(source, operation);
    const { release, stream } = source;
    const { start, first } = stream;
    this.wire = wire;
    this.group = group;
    this.release = () => {
      leave();
      release();
    };
    this.reader = start && group.readerAt(start, first);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<End> {
    // A fault is told once.
    if (this.ended) return this.isOver ? Promise.resolve(end) : this.ended;
    const ended = new Promise<End>((resolve, reject) => (this.settle = { resolve, reject }));
    this.ended = ended;
    if (this.reader) void this.readAlone();
    else this.end();
    return ended;
  }

  return(): Promise<End> {
    this.end();
    return Promise.resolve(end);
  }

  putOut(place: ReaderState): void {
    this.reader = this.group.readerAt(place);
    void this.readAlone();
  }

  end(fault?: { error: unknown }): void {
    if (this.isOver) return;
    this.isOver = true;
    this.reader?.leave();
    this.reader = null;
    this.waiting?.abort();
    this.group.leave(this);
    this.release();
    if (!fault) return this.settle?.resolve(end);
    const { error } = fault;
    this.settle?.reject(error instanceof LogWentBackError ? startOver(error.message) : error);
  }

  private async readAlone(): Promise<void> {
    const { feed } = this.group;
    try {
      for (;;) {
        const { reader, wire } = this;
        if (!reader) return;
        if (!wire.isOpen) return this.end();
        if (wire.isFull) {
          await wire.drained();
          continue;
        }
        const { revision } = feed;
        const next = reader.next();
        const result = next instanceof Promise ? await next : next;
        // It may have ended meanwhile.
        if (this.reader !== reader) return;
        if (result === 'OVER') return this.end();
        if (result !== 'CAUGHT_UP') wire.write([result]);
        else if (this.group.join(this, reader, revision)) {
          reader.leave();
          this.reader = null;
          this.waiting = null;
          return;
        } else {
          this.waiting ??= new AbortController();
          await this.group.moved(revision, this.waiting.signal);
        }
      }
    } catch (error) {
      this.end({ error });
    }
  }
}
