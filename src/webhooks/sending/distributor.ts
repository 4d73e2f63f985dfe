import type pg from 'pg';
import { encodeEventPosition, type EventPosition, readTail, type TailPage } from '../../conversations/log/tail.ts';
import { isQueryCanceled } from '../../database-failure.ts';
import { distributeSql } from './distribute-statement.ts';

/** Events that become deliveries in one statement, at most. */
const PAGE = 500;

/** The place of the log's tail, as this server has last written or read it. */
interface Tail {
  position: EventPosition;
  /** The tail is moved only by whoever names its latest beat. */
  beat: string;
}

/** What a distribution has led to. */
export interface Distributed {
  /** Deliveries that are new. */
  made: number;
  /** Conversations whose deliveries are to be removed. */
  erasures: number;
}

interface Options {
  pool: pg.Pool;
  /** Throws while other servers may consider this one dead. */
  serverId: () => string;
}

/**
 * Makes the events of the log deliveries of the webhooks that want them: one row for each, in the order of the log. One server
 * does so at a time, until it ends or dies. The position moves in the statement that inserts the rows, and only from where it
 * was read, so nothing is left out or made twice even if two servers believe that it is their turn.
 */
export class Distributor {
  private readonly options: Options;
  private tail: Tail | null = null;
  private owner: string | null = null;
  /** How many events the next statement takes: fewer after one that took too long. */
  private page = PAGE;

  constructor(options: Options) {
    this.options = options;
  }

  /** Whether this server distributed last. */
  get isInTurn(): boolean {
    return this.tail !== null;
  }

  /** Distributes all that is committed, if it is this server's turn. */
  async advance(): Promise<Distributed> {
    const me = this.options.serverId();
    if (this.owner !== me) this.tail = null;
    this.owner = me;
    const all = { made: 0, erasures: 0 };
    for (let more = true; more;) {
      this.tail ??= await this.take(me);
      if (!this.tail) return all;
      const page = await readTail(this.options.pool, this.tail.position, this.page);
      ({ more } = page);
      // A position that only names a later snapshot need not be stored: what it leaves out is empty.
      if (page.events.length === 0 && page.position.epoch === this.tail.position.epoch && !more) return all;
      const { made, erasures } = await this.move(this.tail, page);
      all.made += made;
      all.erasures += erasures;
    }
    return all;
  }

  /** Lets another server take over at once. */
  async leave(): Promise<void> {
    if (!this.tail) return;
    this.tail = null;
    await this.options.pool.query('UPDATE webhook_tail SET owner = NULL WHERE owner = $1', [this.owner]);
  }

  /** Null while a living server has it. */
  private async take(me: string): Promise<Tail | null> {
    const { rows } = await this.options.pool.query<EventPosition & { beat: string; free: boolean; mine: boolean }>({
      name: 'read-webhook-tail',
      text: `SELECT epoch, told, telling, seq::text AS seq, beat::text AS beat, owner IS NOT DISTINCT FROM $1 AS mine,
          owner IS NULL OR NOT EXISTS (SELECT FROM server WHERE id = owner) AS free
        FROM webhook_tail`,
      values: [me],
    });
    const [found] = rows;
    if (!found) throw new Error('the webhooks have no place in the log');
    const { beat, free, mine, ...position } = found;
    if (mine) return { position, beat };
    if (!free) return null;
    const { rows: taken } = await this.options.pool.query<{ beat: string }>({
      name: 'take-webhook-tail',
      text: 'UPDATE webhook_tail SET owner = $2, beat = beat + 1 WHERE beat = $1 RETURNING beat::text AS beat',
      values: [beat, me],
    });
    return taken[0] ? { position, beat: taken[0].beat } : null;
  }

  private async move(tail: Tail, page: TailPage): Promise<Distributed> {
    // If this fails, the row says where the tail is.
    this.tail = null;
    const { beat, ...distributed } = await this.store(tail, page).catch((error: unknown) => {
      if (isQueryCanceled(error)) this.page = Math.max(1, Math.floor(this.page / 2));
      throw error;
    });
    this.page = Math.min(PAGE, this.page * 2);
    if (beat !== null) this.tail = { position: page.position, beat };
    return distributed;
  }

  /** Makes the deliveries. `beat` is null if somebody else has moved the tail. */
  private async store(tail: Tail, page: TailPage): Promise<Distributed & { beat: string | null }> {
    const { epoch, told, telling, seq } = page.position;
    const { rows } = await this.options.pool.query<Distributed & { beat: string | null }>({
      name: 'distribute-events',
      text: distributeSql(
        `UPDATE webhook_tail SET epoch = $4, told = $5, telling = $6, seq = $7, beat = beat + 1 WHERE beat = $3
          RETURNING beat::text AS beat, NULL::uuid AS replayed, NULL::timestamptz AS since`,
      ),
      values: [...placesOf(tail.position, page), tail.beat, epoch, told, telling, seq],
    });
    return rows[0] ?? { beat: null, made: 0, erasures: 0 };
  }
}

/** The events of a page with the position after each: the first values of the statement. */
export function placesOf(from: EventPosition, { events, until }: TailPage): [string[], string[]] {
  return [events.map(({ seq }) => seq), events.map(({ seq }) => encodeEventPosition({ ...from, telling: until, seq }))];
}
