import type { Pool } from '../../db.ts';
import type { Bus } from '../../bus/hints.ts';
import { type LogEventInPlace, readEventsBySeq } from '../log/read.ts';
import { encodeEventPosition, type EventPosition, readTail, type TailEvent } from '../log/tail.ts';
import type { LogTail } from './log-tail.ts';

/** Events read at a time while those of other organizations are passed over. */
const PAGE = 1000;

/** How many pages one read looks through at most. */
const MOST_PAGES = 10;

/** An event of the organization, with the position right after it. */
export interface OrganizationEvent {
  conversationId: string;
  event: LogEventInPlace;
  position: string;
}

/** A part of an organization's log. */
export interface OrganizationEvents {
  events: OrganizationEvent[];
  /** Where to read on. */
  position: EventPosition;
  /** Whether there may be more now, even if this part is empty. */
  more: boolean;
}

/** The events of an organization after a position, in the order of the log, at most `limit`; with `end`, none from after that end of the log. */
export async function readOrganizationEvents(
  pool: Pool,
  organizationId: string,
  from: EventPosition,
  limit: number,
  end: EventPosition | null = null,
): Promise<OrganizationEvents> {
  const found: { event: TailEvent; position: EventPosition }[] = [];
  let position = from;
  let more = true;
  for (let pages = 0; more && found.length < limit && pages < MOST_PAGES; pages += 1) {
    const size = pages === 0 ? limit : PAGE;
    const { epoch, telling } = position;
    const isLast = end !== null && epoch >= end.epoch && (telling === null || telling === end.told);
    const page = await readTail(pool, isLast ? { ...position, telling: end.told } : position, size);
    if (isLast && page.events.length < size) page.more = false;
    const own = page.events.filter((event) => event.organizationId === organizationId);
    const rest = limit - found.length;
    for (const event of own.slice(0, rest)) {
      found.push({ event, position: { ...position, telling: page.until, seq: event.seq } });
    }
    const last = found.at(-1);
    ({ position, more } = own.length > rest && last ? { position: last.position, more: true } : page);
  }
  const rows = await readEventsBySeq(
    pool,
    found.map(({ event }) => event.seq),
  );
  const events = found.flatMap(({ event: { seq, conversationId }, position: after }) => {
    const event = rows.get(seq);
    return event ? [{ conversationId, event, position: encodeEventPosition(after) }] : [];
  });
  return { events, position, more };
}

/** Events that the follower waits for at a time. */
const BATCH = 50;

/** How long after a hint the log is read, in milliseconds, so that several hints are one read. */
const HINT_MS = 50;

/** Follows the log of an organization from a position on, until the signal aborts. A hint saves waiting for the tail's next look. */
export async function* followOrganization(
  { pool, bus, logTail }: { pool: Pool; bus: Bus; logTail: LogTail },
  organizationId: string,
  from: EventPosition,
  signal: AbortSignal,
): AsyncGenerator<OrganizationEvent, void, undefined> {
  let moved = true;
  let wake = () => {};
  const stop = await logTail.subscribe(organizationId, (changes) => {
    if (!changes.some((change) => change.organizationId === organizationId)) return;
    moved = true;
    wake();
  });
  let soon: NodeJS.Timeout | undefined;
  const readSoon = () => {
    soon ??= setTimeout(() => {
      soon = undefined;
      moved = true;
      wake();
    }, HINT_MS);
  };
  const ignoreHints = bus.subscribe({
    onHint: (hint) => {
      if (hint.kind === 'log' && hint.organizationId === organizationId) readSoon();
    },
    onReconnect: readSoon,
  });
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort);
  try {
    let position = from;
    while (!signal.aborted) {
      if (!moved) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (moved || signal.aborted) resolve();
        });
        continue;
      }
      moved = false;
      const part = await readOrganizationEvents(pool, organizationId, position, BATCH);
      ({ position } = part);
      moved ||= part.more;
      yield* part.events;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    ignoreHints();
    clearTimeout(soon);
    stop();
  }
}
