import type { Pool } from '../../db.ts';
import { type EventPosition, readEnd } from '../log/tail.ts';
import {
  type ConversationFilter,
  type Lister,
  type ListedConversation,
  matchingConversations,
  searchConversations,
} from './list-conversations.ts';
import type { LogChange, LogTail } from './log-tail.ts';
import { encodeChangeCursor, readMissedChanges } from './missed-changes.ts';
import type { SearchTurns } from '../../search-turns.ts';
import type { ConversationSearch } from './search.ts';

/** How a conversation changed in relation to a filter; or that the list is followed from here on. */
export type ConversationChange = { cursor: string } & (
  { kind: 'ENTERED' | 'UPDATED' | 'LEFT'; conversationId: string } | { kind: 'READY'; conversationId: null }
);

type Move = Exclude<ConversationChange['kind'], 'READY'>;

/** How many matching conversations are remembered, the latest ones. For others, whether they matched before is inferred. */
const REMEMBERED = 10_000;
/** How many that a keyword finds are read at first. */
const REMEMBERED_FOUND = 1000;

/** How many changes may wait for their reader. */
const MOST_WAITING = 20_000;

/** The reader has to read its page again: it has missed too much, or what it missed is too long ago. */
export class ListTooOldError extends Error {
  override name = 'ListTooOldError';

  constructor() {
    super('Too much has changed since then. Start over: read `conversations` again, and follow it from there.');
  }
}

export interface LiveListServices {
  pool: Pool;
  logTail: LogTail;
  search: ConversationSearch;
  searchTurns: SearchTurns;
  /** See `turnsOfMissedChanges`. */
  missedTurns: SearchTurns;
}

/**
 * A live list: that it is followed now, then changes of conversations that match or no longer match. What moves a conversation is
 * told at once, all else at most once a second. `after` is the place of the page that was read; null for now. Throws
 * `ListTooOldError`.
 */
export async function* conversationChanges(
  services: LiveListServices,
  lister: Lister,
  filter: ConversationFilter,
  after: EventPosition | null,
  signal: AbortSignal,
): AsyncGenerator<ConversationChange, void, undefined> {
  const { pool, logTail, search, missedTurns } = services;
  const { organizationId } = lister;
  const found = filter.keyword?.trim() ? await search.queryOf(filter.keyword) : null;
  const waiting = new Waiting(lister);
  let wake = () => {};
  const stop = await logTail.subscribe(organizationId, (changes, position) => {
    waiting.add(changes, position);
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort);
  try {
    const missed = after ? await readMissedChanges(missedTurns, organizationId, after) : null;
    if (after && !missed) throw new ListTooOldError();
    waiting.start(after ?? (await readEnd(pool)));
    const shown = await shownNow(services, lister, filter);
    waiting.shown = shown;
    if (missed) {
      shown.doubt(missed.changes);
      waiting.add(missed.changes, missed.position);
    }
    yield { kind: 'READY', conversationId: null, cursor: waiting.cursor };
    while (!signal.aborted) {
      const batch = waiting.take();
      if (batch.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (waiting.size > 0 || signal.aborted) resolve();
        });
        continue;
      }
      const ids = batch.map(({ conversationId }) => conversationId);
      const matching = await matchingConversations(pool, lister, filter, ids, found);
      for (const change of batch) {
        const { conversationId } = change;
        const kind = shown.moveOf(change, matching.has(conversationId));
        waiting.told();
        if (kind) yield { kind, conversationId, cursor: waiting.cursor };
      }
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    stop();
  }
}

/** Changes that the reader has not been told of yet, and the place in the log up to which it has been told of all. */
class Waiting {
  /** What the lister has been shown; null until that is known. */
  shown: Pick<Shown, 'has'> | null = null;
  private readonly lister: Lister;
  private readonly changes = new Map<string, LogChange>();
  private taken = 0;
  private heard: EventPosition | null = null;
  private place: EventPosition | null = null;
  private tooMany = false;

  constructor(lister: Lister) {
    this.lister = lister;
  }

  get size(): number {
    return this.changes.size;
  }

  get cursor(): string {
    if (!this.place) throw new Error('The list has no place yet.');
    return encodeChangeCursor(this.place);
  }

  start(place: EventPosition): void {
    this.place = place;
  }

  add(changes: readonly LogChange[], position: EventPosition | null): void {
    for (const change of changes) {
      if (change.organizationId !== this.lister.organizationId || !mayConcern(this.lister, change, this.shown))
        continue;
      const before = this.changes.get(change.conversationId);
      if (this.changes.size >= MOST_WAITING && !before) this.tooMany = true;
      else this.changes.set(change.conversationId, { ...change, moves: change.moves || (before?.moves ?? false) });
    }
    this.heard = position ?? this.heard;
    this.advance();
  }

  /** Some of them, at most 100. Throws `ListTooOldError` if there were too many. */
  take(): LogChange[] {
    if (this.tooMany) throw new ListTooOldError();
    const batch = [...this.changes.values()].slice(0, 100);
    for (const { conversationId } of batch) this.changes.delete(conversationId);
    this.taken = batch.length;
    return batch;
  }

  /** One more of those that were taken has been told. */
  told(): void {
    this.taken -= 1;
    this.advance();
  }

  private advance(): void {
    if (this.taken === 0 && this.size === 0) this.place = this.heard ?? this.place;
  }
}

/** Whether a change may be told to the lister. `shown` are the conversations that they have been shown; null until that is read. */
function mayConcern(lister: Lister, change: LogChange, shown: Pick<Shown, 'has'> | null): boolean {
  return isOwn(lister, change) || (shown?.has(change.conversationId) ?? change.contactId === null);
}

/** Whether the conversation is the lister's now, or was when it was deleted. */
function isOwn({ confinedTo }: Lister, { conversationId, contactId }: LogChange): boolean {
  if (!confinedTo) return true;
  return 'conversationId' in confinedTo
    ? conversationId === confinedTo.conversationId
    : contactId === confinedTo.contactId;
}

async function shownNow(services: LiveListServices, lister: Lister, filter: ConversationFilter): Promise<Shown> {
  const limit = filter.keyword?.trim() ? REMEMBERED_FOUND : REMEMBERED;
  const order = { field: 'updatedAt', direction: 'desc' } as const;
  const query = { filter, order, after: null, before: null, limit, inverted: false };
  const latest = await searchConversations(services, lister, query);
  return new Shown(lister, latest, latest.length >= limit);
}

/** Which conversations the lister has been shown, the latest of them. */
class Shown {
  private readonly lister: Lister;
  private readonly ids: Set<string>;
  /** Those of which it is not known, since they changed while nobody followed. */
  private readonly doubted = new Set<string>();
  private isPartial: boolean;

  /** `latest` are those that match now, the latest ones first; `isPartial` is whether the lister may have been shown others too. */
  constructor(lister: Lister, latest: readonly ListedConversation[], isPartial: boolean) {
    this.lister = lister;
    this.ids = new Set(latest.map(({ id }) => id).reverse());
    this.isPartial = isPartial;
  }

  has(id: string): boolean {
    return this.ids.has(id);
  }

  doubt(changes: readonly LogChange[]): void {
    for (const { conversationId: id } of changes) {
      this.ids.delete(id);
      this.doubted.add(id);
    }
  }

  /** How a conversation moves that has changed. Null if it was not and is not in the list. */
  moveOf(change: LogChange, matches: boolean): Move | null {
    const { conversationId: id } = change;
    const isDoubtful = this.doubted.delete(id) || this.isPartial;
    const wasShown = this.ids.delete(id);
    if (!matches) {
      // That one left which was not shown may be another person's.
      return wasShown || (isDoubtful && change.moves && isOwn(this.lister, change)) ? 'LEFT' : null;
    }
    this.ids.add(id);
    const [oldest] = this.ids;
    if (this.ids.size > REMEMBERED && oldest !== undefined) {
      this.ids.delete(oldest);
      this.isPartial = true;
    }
    return wasShown ? 'UPDATED' : 'ENTERED';
  }
}
