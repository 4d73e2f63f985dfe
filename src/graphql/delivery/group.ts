import { setImmediate } from 'node:timers/promises';
import { audienceOf } from '../../access/visibility.ts';
import { EventRowsReader } from '../../conversations/schema/event-rows.ts';
import type { FeedWatcher } from '../../conversations/stream/feed-watcher.ts';
import { Follower, type ReaderState } from '../../conversations/stream/follower.ts';
import type { StreamEvent } from '../../conversations/stream/stream-event.ts';
import type { EventStream } from '../../conversations/stream/stream.ts';
import type { Viewer } from '../../access/viewer.ts';
import type { Services } from '../context.ts';
import { Executor, type Operation } from './executor.ts';
import type { LiveSource } from './live-source.ts';
import { ResultReader } from './result-reader.ts';
import { inThisTick } from './tick.ts';
import type { Wire } from './wire.ts';

/** Results of this size together, in bytes, are written before more are made. */
const BATCH_BYTES = 64 * 1024;

/** A subscriber that is delivered to together with others. */
export interface Member {
  readonly wire: Wire;
  /** Leaves it to itself, at the place that it has come to. */
  putOut(place: ReaderState): void;
  /** Nothing follows; with a fault, because of it. */
  end(fault?: { error: unknown }): void;
}

/**
 * Subscribers of one feed who see the same: the same selection, operation and viewer. For the members, who stand where the group
 * stands, each event is executed and serialized once. The others read alone until they stand there too.
 */
export class Group implements FeedWatcher {
  /** How many subscribers it has, members or not. */
  subscribers = 0;
  /** What its subscribers have in common, as text. */
  readonly key: string;
  readonly feed: EventStream['feed'];
  private readonly selection: EventStream['selection'];
  private readonly services: Services;
  private readonly viewer: Viewer;
  private readonly executor: Executor;
  private readonly members = new Set<Member>();
  /** Null while it has no members. */
  private reader: ResultReader | null = null;
  private isScheduled = false;
  private isPumping = false;
  private changes = 0;
  private onSettled: (() => void)[] = [];
  private readonly begin = () => {
    this.isScheduled = false;
    void this.pump();
  };

  constructor(key: string, { stream, context }: LiveSource, operation: Operation) {
    this.key = key;
    this.feed = stream.feed;
    this.selection = stream.selection;
    // Not the context, which leads to the connection of the first subscriber.
    this.services = context.services;
    this.viewer = context.viewer;
    this.executor = new Executor(operation, this.services, this.viewer);
  }

  /** A reader of its own for one of the subscribers. */
  readerAt(place: ReaderState, first: StreamEvent | null = null): ResultReader {
    const { executor, selection, services, viewer } = this;
    const follower = new Follower(this.feed, place, selection.fragments);
    const rows = new EventRowsReader(services, audienceOf(viewer));
    return new ResultReader({ follower, rows, executor, selection, first });
  }

  /**
   * Takes in a subscriber that stands where the group stands, and has read all there was at that revision of the feed. False if
   * it stands elsewhere.
   */
  join(member: Member, { follower }: ResultReader, revision: number): boolean {
    if (this.isPumping) return false;
    if (!this.reader) {
      this.reader = this.readerAt(follower.place);
      this.feed.watchers.add(this);
      if (revision !== this.feed.revision) this.onChange();
    } else if (!this.reader.follower.isAt(follower)) {
      return false;
    }
    this.members.add(member);
    return true;
  }

  leave(member: Member): void {
    this.members.delete(member);
    if (this.members.size > 0) return;
    this.feed.watchers.delete(this);
    this.reader?.leave();
    this.reader = null;
  }

  /** Resolves when the members have been told all there is. If they have been, when the feed is no longer at that revision. */
  moved(revision: number, signal: AbortSignal): Promise<void> {
    if (!this.isScheduled && !this.isPumping) return this.feed.changedSince(revision, signal);
    return new Promise((resolve) => this.onSettled.push(resolve));
  }

  get idleReaders(): number {
    return this.isScheduled || this.isPumping ? 0 : this.members.size;
  }

  onChange(): void {
    this.changes += 1;
    if (this.isPumping || this.isScheduled) return;
    this.isScheduled = true;
    inThisTick(this.begin);
  }

  private async pump(): Promise<void> {
    this.isPumping = true;
    for (let { reader } = this; reader; reader = this.reader) {
      const { changes } = this;
      const { place } = reader.follower;
      const batch: Buffer[] = [];
      let result: unknown;
      let fault: { error: unknown } | undefined;
      try {
        for (let bytes = 0; bytes < BATCH_BYTES;) {
          const next = reader.next();
          // Without waiting, if possible: then a delta costs no promise.
          const settled = next instanceof Promise ? await next : next;
          result = settled;
          if (typeof settled === 'string') break;
          batch.push(settled);
          bytes += settled.length;
        }
      } catch (error) {
        fault = { error };
      }
      if (batch.length > 0) this.write(batch, place);
      if (fault || result === 'OVER') this.end(fault);
      else if (result !== 'CAUGHT_UP') await setImmediate();
      else if (changes === this.changes) break;
    }
    this.isPumping = false;
    for (const resolve of this.onSettled.splice(0)) resolve();
  }

  private write(batch: readonly Buffer[], place: ReaderState): void {
    for (const member of this.members) {
      const { wire } = member;
      if (!wire.isOpen) member.end();
      else if (!wire.isFull) wire.write(batch);
      else {
        this.leave(member);
        member.putOut(place);
      }
    }
  }

  private end(fault: { error: unknown } | undefined): void {
    for (const member of [...this.members]) {
      this.leave(member);
      member.end(fault);
    }
  }
}
