import type { ReplyPart } from '../agents/runtime.ts';
import type { NewFragment } from '../conversations/log/write-fragments.ts';
import { Draft, type DraftFragment } from './draft.ts';

/** What a checkpoint stores of one run. Kept unchanged until it is known to be stored, so that a retry stores the same. */
export interface Snapshot {
  begun: NewFragment[];
  ended: { index: number; metadata: DraftFragment['metadata'] }[];
  /** Text from `offset` on, for the chunk that begins at `chunk`. */
  chunks: { index: number; chunk: number; offset: number; units: number; text: string }[];
}

/** How soon something must be stored. */
export type Urgency = 'now' | 'soon' | 'not';

export function sooner(one: Urgency, other: Urgency): Urgency {
  if (one === 'now' || other === 'now') return 'now';
  return one === 'not' ? other : one;
}

/** A chunk longer than this, in UTF-16 units, no longer grows, so that PostgreSQL keeps it inside its row. */
const MAX_CHUNK_UNITS = 500;

interface Stored {
  units: number;
  /** Start of the chunk that can still grow. The end of the text if there is none. */
  chunk: number;
  /** How much was published on the bus. Nothing is published before the fragment's row is stored. */
  published: number;
  done: boolean;
}

/** A reply that this server generates: its draft, and how much of it is stored and published. */
export class Run {
  readonly conversationId: string;
  readonly replyId: string;
  readonly draft = new Draft();
  readonly abort = new AbortController();
  private readonly lost = new AbortController();
  private isFenced = false;
  private isSettled = false;
  pending: Snapshot | null = null;
  /** Whether a chunk of it may have been stored. */
  mayHaveChunks = false;
  private readonly stored: Stored[] = [];
  private gate: { opened: Promise<void>; open: () => void } | null = null;

  constructor(reply: { conversationId: string; replyId: string }) {
    this.conversationId = reply.conversationId;
    this.replyId = reply.replyId;
  }

  /** Adds a part. Returns how soon it must be stored. */
  take(part: ReplyPart): Urgency {
    const fragment = this.draft.take(part);
    if (!fragment) return 'not';
    return part.type === 'text-delta' ? 'soon' : 'now';
  }

  /** Text that may be published now, by fragment. */
  unpublished(): { fragment: number; offset: number; text: string }[] {
    const fresh: { fragment: number; offset: number; text: string }[] = [];
    // Only the last stored fragment can still grow, but one that ended may have text left to publish.
    for (let index = Math.max(0, this.stored.length - 2); index < this.stored.length; index += 1) {
      const stored = this.stored[index];
      const fragment = this.draft.fragments[index];
      if (!stored || !fragment || fragment.text.length <= stored.published) continue;
      fresh.push({ fragment: index, offset: stored.published, text: fragment.text.slice(stored.published) });
      stored.published = fragment.text.length;
    }
    return fresh;
  }

  /** All that has been produced, if nothing of it has been stored or is being. */
  whole(): NewFragment[] | null {
    return this.stored.length > 0 || this.pending ? null : this.draft.fragments.map(asNew);
  }

  isStored(): boolean {
    const last = this.stored.length - 1;
    const [stored, fragment] = [this.stored[last], this.draft.fragments[last]];
    if (this.pending || last + 1 < this.draft.fragments.length) return false;
    return (
      !stored || !fragment || (stored.units === fragment.text.length && stored.done === (fragment.status === 'DONE'))
    );
  }

  /** What has to be stored now. Null if everything is stored. */
  snapshot(): Snapshot | null {
    if (this.pending) return this.pending;
    const snapshot: Snapshot = { begun: [], ended: [], chunks: [] };
    for (let index = Math.max(0, this.stored.length - 1); index < this.draft.fragments.length; index += 1) {
      const fragment = this.draft.fragments[index];
      const stored = this.stored[index];
      if (!fragment) continue;
      if (!stored) {
        snapshot.begun.push(asNew(fragment));
        continue;
      }
      const text = fragment.text.slice(stored.units);
      if (text) {
        const { units: offset } = stored;
        const chunk = offset + text.length - stored.chunk <= MAX_CHUNK_UNITS ? stored.chunk : offset;
        snapshot.chunks.push({ index, chunk, offset, units: text.length, text });
        this.mayHaveChunks = true;
      }
      if (fragment.status === 'DONE' && !stored.done) snapshot.ended.push({ index, metadata: fragment.metadata });
    }
    if (snapshot.begun.length + snapshot.ended.length + snapshot.chunks.length === 0) return null;
    this.pending = snapshot;
    return snapshot;
  }

  /** Marks the pending snapshot as stored and returns it. */
  commit(): Snapshot {
    const snapshot = this.pending ?? { begun: [], ended: [], chunks: [] };
    this.pending = null;
    for (const { index, units, status } of snapshot.begun) {
      this.stored[index] = { units, chunk: units, published: units, done: status === 'DONE' };
    }
    for (const { index, chunk, units } of snapshot.chunks) {
      const stored = this.stored[index];
      if (!stored) continue;
      stored.chunk = chunk;
      stored.units += units;
    }
    for (const { index } of snapshot.ended) {
      const stored = this.stored[index];
      if (stored) stored.done = true;
    }
    return snapshot;
  }

  /** Whether the reply no longer belongs to this run. */
  get fenced(): boolean {
    return this.isFenced;
  }

  /** Aborts once the reply no longer belongs to this run. */
  get fencing(): AbortSignal {
    return this.lost.signal;
  }

  /** The run has ended its reply itself, so that nothing of it is left to be fenced off. */
  settled(): void {
    this.isSettled = true;
  }

  fence(): void {
    if (this.isSettled) return;
    this.isFenced = true;
    this.lost.abort();
    this.resume();
    this.abort.abort();
  }

  /** Whether the run waits before its next part. */
  get isHeld(): boolean {
    return this.gate !== null;
  }

  /** Pauses the run before its next part. */
  hold(): void {
    if (this.gate) return;
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.gate = { opened, open };
  }

  resume(): void {
    this.gate?.open();
    this.gate = null;
  }

  /** Resolves when the run may continue. */
  async mayGoOn(): Promise<void> {
    while (this.gate) await this.gate.opened;
  }
}

function asNew(fragment: DraftFragment): NewFragment {
  return { ...fragment, text: fragment.text.toString(), units: fragment.text.length };
}
