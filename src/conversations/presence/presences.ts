import { LRUCache } from 'lru-cache';
import type { Pool } from '../../db.ts';
import { CONTACT, type Person } from '../../access/person.ts';
import type { Audience } from '../../access/visibility.ts';
import type { Bus, Hint, HintListener, Membership } from '../../bus/hints.ts';
import { ofConversation } from '../../bus/topics.ts';
import type { Logger } from '../../logger.ts';
import { type Presence, type PresenceTimes, Room, type RoomFacts } from './room.ts';

export interface PresencesTimes extends PresenceTimes {
  /** How often the other servers are asked who is there, in milliseconds. Each who is there must be heard several times. */
  askMs: number;
}

const defaultTimes: PresencesTimes = { onlineMs: 30_000, typingMs: 6_000, askMs: 10_000 };

/** That somebody goes on typing is told on this often at most, in milliseconds. */
const TYPING_AGAIN_MS = 2_000;

/** Of how many people in conversations it is remembered when they typed. */
const MOST_TYPING = 10_000;

interface Here {
  person: Person;
  /** How many streams of theirs follow on this server. */
  streams: number;
}

/**
 * Who is in which conversation now. Whoever follows one is there, and is told of when a server asks; those who watch ask every ten
 * seconds. All of it travels on the bus and is lost with the server.
 */
export class Presences implements HintListener {
  private readonly pool: Pool;
  private readonly bus: Bus;
  private readonly logger: Logger;
  private readonly times: PresencesTimes;
  private readonly rooms = new Map<string, Room>();
  private readonly memberships = new Map<Room, Membership>();
  private readonly here = new Map<string, Map<string, Here>>();
  private readonly typed = new LRUCache<string, { typing: boolean; at: number }>({ max: MOST_TYPING });
  private readonly unsubscribe: () => void;
  private timer: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(pool: Pool, bus: Bus, logger: Logger, times = defaultTimes) {
    this.pool = pool;
    this.bus = bus;
    this.logger = logger;
    this.times = times;
    this.unsubscribe = bus.subscribe(this);
  }

  /** Somebody follows a conversation, until the returned function is called. */
  enter(conversationId: string, person: Person | null): () => void {
    if (!person) return () => undefined;
    const membership = this.bus.join(ofConversation(conversationId));
    const people = this.here.get(conversationId) ?? new Map<string, Here>();
    this.here.set(conversationId, people);
    const here = people.get(person.id) ?? { person, streams: 0 };
    people.set(person.id, here);
    here.streams += 1;
    if (here.streams === 1) this.tell(conversationId, person);
    return () => {
      membership.leave();
      here.streams -= 1;
      if (here.streams > 0) return;
      people.delete(person.id);
      if (people.size === 0) this.here.delete(conversationId);
      this.bus.publish({ kind: 'absent', conversationId, person: person.id });
    };
  }

  /** Tells that somebody types, or no longer. The caller has checked that they see the conversation. */
  type(conversationId: string, person: Person, typing: boolean): void {
    const key = `${conversationId} ${person.id}`;
    const now = performance.now();
    const last = this.typed.get(key);
    if (last && last.typing === typing && now - last.at < TYPING_AGAIN_MS) return;
    this.typed.set(key, { typing, at: now });
    this.tell(conversationId, person, typing);
  }

  /** Who is there, and again whenever that changes, until the conversation is deleted or the signal aborts. */
  async *watch(
    conversationId: string,
    audience: Audience,
    signal: AbortSignal,
  ): AsyncGenerator<Presence, void, undefined> {
    const room = this.rooms.get(conversationId) ?? this.open(conversationId);
    let wake = () => {};
    const onChange = () => wake();
    room.watchers.add(onChange);
    signal.addEventListener('abort', onChange);
    try {
      let shown: Presence | null = null;
      while (!signal.aborted && !room.closed) {
        const presence = room.presenceFor(audience);
        if (presence !== shown) {
          shown = presence;
          yield presence;
          continue;
        }
        const { revision } = room;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal.aborted || room.closed || room.revision !== revision) resolve();
        });
      }
    } finally {
      signal.removeEventListener('abort', onChange);
      room.watchers.delete(onChange);
      if (room.watchers.size === 0) this.shut(room);
    }
  }

  onHint(hint: Hint): void {
    if (hint.kind === 'who-is-there') {
      for (const { person } of this.here.get(hint.conversationId)?.values() ?? []) {
        this.tell(hint.conversationId, person);
      }
    } else if (hint.kind === 'present') {
      this.rooms.get(hint.conversationId)?.see({ id: hint.person, author: hint.author }, hint.typing);
    } else if (hint.kind === 'read') {
      this.rooms.get(hint.conversationId)?.read(hint.position);
    } else if (hint.kind === 'absent') {
      this.rooms.get(hint.conversationId)?.lose(hint.person);
      // They may follow on this server as well.
      const still = this.here.get(hint.conversationId)?.get(hint.person);
      if (still) this.tell(hint.conversationId, still.person);
    } else if (hint.kind === 'log' && hint.moved) {
      const room = this.rooms.get(hint.conversationId);
      if (room) void this.look([room]);
    }
  }

  onReconnect(): void {
    this.ask();
  }

  /** Ends every watching stream. */
  close(): void {
    this.closed = true;
    this.unsubscribe();
    for (const room of this.rooms.values()) this.shut(room);
  }

  private open(conversationId: string): Room {
    if (this.closed) throw new Error('The server is shutting down.');
    const room = new Room(conversationId, this.times);
    this.rooms.set(conversationId, room);
    this.timer ??= setInterval(() => this.ask(), this.times.askMs);
    void this.look([room]);
    const membership = this.bus.join(ofConversation(conversationId));
    this.memberships.set(room, membership);
    void membership.joined.then(() => this.bus.publish({ kind: 'who-is-there', conversationId }));
    return room;
  }

  private shut(room: Room): void {
    room.close();
    this.memberships.get(room)?.leave();
    this.memberships.delete(room);
    if (this.rooms.get(room.conversationId) === room) this.rooms.delete(room.conversationId);
    if (this.rooms.size > 0 || !this.timer) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  private tell(conversationId: string, { id: person, author }: Person, typing?: boolean): void {
    this.bus.publish({ kind: 'present', conversationId, person, author, ...(typing !== undefined && { typing }) });
  }

  private ask(): void {
    for (const conversationId of this.rooms.keys()) this.bus.publish({ kind: 'who-is-there', conversationId });
    void this.look([...this.rooms.values()]);
  }

  /** Reads what the database says of these conversations. Never rejects: the next look reads again. */
  private async look(rooms: readonly Room[]): Promise<void> {
    if (rooms.length === 0) return;
    try {
      const { rows } = await this.pool.query<{ id: string } & RoomFacts>({
        name: 'facts-of-rooms',
        text: `SELECT c.id, h.assignee, h.operator_id AS "operatorId", r.position AS "contactReadPosition" FROM conversation c
          LEFT JOIN read_mark r ON r.conversation_id = c.id AND r.reader = '${CONTACT}'
          LEFT JOIN handoff h ON h.id = c.handoff_id AND h.accepted_at IS NOT NULL
          WHERE c.id = ANY($1::uuid[])`,
        values: [rooms.map(({ conversationId }) => conversationId)],
      });
      const facts = new Map(rows.map(({ id, ...row }) => [id, row]));
      for (const room of rooms) {
        const known = facts.get(room.conversationId);
        if (known) room.learn(known);
        else this.shut(room);
      }
    } catch (error) {
      this.logger.debug({ err: error }, 'could not read who has the watched conversations');
    }
  }
}
