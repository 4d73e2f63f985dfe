import type { EventType } from '../../generated/prisma/enums.ts';
import {
  type ConversationFilter,
  type Lister,
  listConversations,
  matchingConversations,
} from './list-conversations.ts';
import type { LogChange, LogTail } from './log-tail.ts';
import type pg from 'pg';

/** How a conversation changed in relation to a filter. */
export interface ConversationChange {
  kind: 'ENTERED' | 'UPDATED' | 'LEFT';
  conversationId: string;
}

/** How many matching conversations are remembered, the latest ones. For others, whether they matched before is inferred. */
const REMEMBERED = 10_000;

/** Events that can change whether a conversation matches a filter. */
const moving: ReadonlySet<EventType> = new Set([
  'ConversationDeleted',
  'ConversationEnded',
  'ConversationUpdated',
  'HandoffAccepted',
  'HandoffEnded',
  'HandoffStarted',
]);

/** A live list: changes of conversations that match or no longer match. Each is reported at most once a second. */
export async function* conversationChanges(
  services: { pool: pg.Pool; logTail: LogTail },
  lister: Lister,
  filter: ConversationFilter,
  signal: AbortSignal,
): AsyncGenerator<ConversationChange, void, undefined> {
  const { pool } = services;
  const { organizationId, confinedTo } = lister;
  const waiting = new Map<string, Set<EventType>>();
  let known: Set<string> | null = null;
  let wake = () => {};
  const listen = (changes: LogChange[]) => {
    for (const change of changes) {
      if (change.organizationId !== organizationId || !mayConcern(lister, change, known)) continue;
      const types = waiting.get(change.conversationId) ?? new Set();
      for (const type of change.types) types.add(type);
      waiting.set(change.conversationId, types);
    }
    wake();
  };
  const stop = await services.logTail.subscribe(listen);
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort);
  try {
    const shown = await matchingNow(pool, lister, filter);
    known = shown;
    while (!signal.aborted) {
      const batch = new Map([...waiting].slice(0, 100));
      for (const id of batch.keys()) waiting.delete(id);
      if (batch.size === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (waiting.size > 0 || signal.aborted) resolve();
        });
        continue;
      }
      const matching = await matchingConversations(pool, lister, filter, [...batch.keys()]);
      for (const [conversationId, types] of batch) {
        const kind = moveOf(shown, conversationId, confinedTo ? nothing : types, matching.has(conversationId));
        if (kind) yield { kind, conversationId };
      }
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    stop();
  }
}

/** What an end user is not told of: that a conversation left which they had not seen may be another person's. */
const nothing: ReadonlySet<EventType> = new Set();

/** Whether a change may be told to the lister. `known` are the conversations that they have been shown; null until that is read. */
function mayConcern({ confinedTo }: Lister, change: LogChange, known: ReadonlySet<string> | null): boolean {
  if (!confinedTo) return true;
  if ('conversationId' in confinedTo) return change.conversationId === confinedTo.conversationId;
  return change.contactId === confinedTo.contactId || (known?.has(change.conversationId) ?? change.contactId === null);
}

async function matchingNow(pool: pg.Pool, lister: Lister, filter: ConversationFilter): Promise<Set<string>> {
  const order = { field: 'updatedAt', direction: 'desc' } as const;
  const page = { filter, order, after: null, before: null, limit: REMEMBERED, inverted: false };
  const listed = await listConversations(pool, lister, page);
  return new Set(listed.map(({ id }) => id).reverse());
}

function moveOf(
  known: Set<string>,
  id: string,
  types: ReadonlySet<EventType>,
  matches: boolean,
): ConversationChange['kind'] | null {
  const didMatch = known.delete(id);
  if (!matches) return didMatch || [...types].some((type) => moving.has(type)) ? 'LEFT' : null;
  known.add(id);
  const [oldest] = known;
  if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest);
  return didMatch ? 'UPDATED' : 'ENTERED';
}
