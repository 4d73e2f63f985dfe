import { isDeepStrictEqual } from 'node:util';
import type { Audience } from '../../access/visibility.ts';
import type { Person } from '../../access/person.ts';
import type { Author } from '../../access/caller.ts';

/** How long somebody counts as there after their last sign, and as typing, in milliseconds. */
export interface PresenceTimes {
  onlineMs: number;
  typingMs: number;
}

/** The most people of one conversation that are told of. */
const MOST_PEOPLE = 100;

/** How often those who watch are told at most, in milliseconds. */
const TELL_MS = 20;

/** Somebody in a conversation, as shown. */
export interface Participant {
  author: Author;
  online: boolean;
  typing: boolean;
  lastSeenAt: Date;
}

/** Who is in a conversation. The same object for all who are shown the same. */
export interface Presence {
  conversationId: string;
  participants: readonly Participant[];
  /** Up to where the contact has read. Null if unknown, and for end users. */
  contactReadPosition: number | null;
}

/** What the database says of a conversation. */
export interface RoomFacts {
  /** Who has accepted the handoff in force. Null if nobody has. */
  assignee: string | null;
  /** The operator who has, if it is one. */
  operatorId: string | null;
  /** Up to where the contact has read. Null if unknown. */
  contactReadPosition: number | null;
}

interface Seen {
  author: Author;
  /** Until when, by the clock of `performance.now()`. */
  onlineUntil: number;
  typingUntil: number;
  lastSeenAt: Date;
}

/** A conversation that somebody on this server watches: who is there, from what all servers say. Nothing of it is stored. */
export class Room {
  readonly conversationId: string;
  readonly watchers = new Set<() => void>();
  /** Increased whenever something else is shown. */
  revision = 0;
  closed = false;
  private readonly times: PresenceTimes;
  private readonly people = new Map<string, Seen>();
  private facts: RoomFacts = { assignee: null, operatorId: null, contactReadPosition: null };
  private shown: Record<Audience, Presence>;
  private timer: NodeJS.Timeout | null = null;
  private toldAt = -Infinity;

  constructor(conversationId: string, times: PresenceTimes) {
    this.conversationId = conversationId;
    this.times = times;
    const empty = { conversationId, participants: [], contactReadPosition: null };
    this.shown = { OPERATORS: empty, END_USERS: { ...empty } };
  }

  presenceFor(audience: Audience): Presence {
    return this.shown[audience];
  }

  /** Takes a sign of somebody. `typing` undefined leaves that as it is. */
  see({ id, author }: Person, typing: boolean | undefined): void {
    const now = performance.now();
    const known = this.people.get(id);
    if (!known && this.people.size >= MOST_PEOPLE && !this.forgetOne(now)) return;
    const typingUntil = typing === undefined ? (known?.typingUntil ?? 0) : typing ? now + this.times.typingMs : 0;
    this.people.set(id, { author, onlineUntil: now + this.times.onlineMs, typingUntil, lastSeenAt: new Date() });
    this.changed();
  }

  /** Somebody has left, as far as one server knows. */
  lose(id: string): void {
    const known = this.people.get(id);
    if (!known) return;
    Object.assign(known, { onlineUntil: 0, typingUntil: 0 });
    this.changed();
  }

  learn(facts: RoomFacts): void {
    this.facts = { ...facts, contactReadPosition: later(facts.contactReadPosition, this.facts.contactReadPosition) };
    this.changed();
  }

  /** The contact has read up to a position. */
  read(position: number): void {
    this.learn({ ...this.facts, contactReadPosition: position });
  }

  /** Nobody watches any more, or the conversation is gone. */
  close(): void {
    this.closed = true;
    if (this.timer) clearTimeout(this.timer);
    this.wake();
  }

  /** Shows what has changed: at once, or soon if something was shown just now. */
  private changed(): void {
    if (this.closed) return;
    if (this.timer) clearTimeout(this.timer);
    const now = performance.now();
    const wait = this.toldAt + TELL_MS - now;
    if (wait > 0) this.timer = setTimeout(() => this.show(), wait);
    else this.show();
  }

  private show(): void {
    const now = performance.now();
    const { conversationId } = this;
    const all = [...this.people].map(([, { author, onlineUntil, typingUntil, lastSeenAt }]) => ({
      author,
      online: onlineUntil > now,
      typing: typingUntil > now,
      lastSeenAt,
    }));
    const shown = {
      OPERATORS: { conversationId, participants: all, contactReadPosition: this.facts.contactReadPosition },
      END_USERS: {
        conversationId,
        participants: all.filter(({ author }) => has(this.facts, author)),
        contactReadPosition: null,
      },
    };
    let isNew = false;
    for (const audience of ['OPERATORS', 'END_USERS'] as const) {
      if (isSame(this.shown[audience], shown[audience])) continue;
      this.shown[audience] = shown[audience];
      isNew = true;
    }
    this.timer = null;
    const next = Math.min(...[...this.people.values()].flatMap((seen) => endsOf(seen).filter((end) => end > now)));
    if (next < Infinity) this.timer = setTimeout(() => this.show(), next - now + 1);
    if (!isNew) return;
    this.toldAt = now;
    this.revision += 1;
    this.wake();
  }

  private wake(): void {
    for (const wake of [...this.watchers]) wake();
  }

  /** Makes room for somebody else. False if all are there. */
  private forgetOne(now: number): boolean {
    for (const [id, { onlineUntil }] of this.people) {
      if (onlineUntil <= now) return this.people.delete(id);
    }
    return false;
  }
}

/** Whether somebody has the handoff. A human behind an API key is known by the name that it was accepted with; an operator never is. */
function has({ assignee, operatorId }: RoomFacts, { kind, externalId, displayName, ...author }: Author): boolean {
  if (operatorId !== null) return author.operatorId === operatorId;
  if (kind !== 'HUMAN_AGENT' || author.operatorId != null || assignee === null) return false;
  return externalId === assignee || displayName === assignee;
}

/** A mark only moves forward, so what is read late may be older than what is known. */
function later(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other);
}

function endsOf({ onlineUntil, typingUntil }: Seen): number[] {
  return [onlineUntil, typingUntil];
}

/** When somebody was seen last is no news by itself. */
function isSame(before: Presence, after: Presence): boolean {
  const news = ({ participants, ...rest }: Presence) => ({
    ...rest,
    participants: participants.map(({ lastSeenAt: _, ...participant }) => participant),
  });
  return isDeepStrictEqual(news(before), news(after));
}
