import type { Pool } from '../../db.ts';
import { isQueryCanceled } from '../../database-failure.ts';
import { type EventPosition, readTail, type TailPage } from './tail.ts';

/** Events that one statement acts on, at most. */
const PAGE = 500;

/** The place of the tail, as this server has last written or read it. */
interface Place {
  position: EventPosition;
  /** The tail is moved only by whoever names its latest beat. */
  beat: string;
}

export interface SharedTailOptions<Done> {
  pool: Pool;
  /** Throws while other servers may consider this one dead. */
  serverId: () => string;
  /** Keeps the place, in one row: `epoch`, `told`, `telling`, `seq`, `owner`, `beat`. */
  table: 'webhook_tail' | 'letter_tail';
  /** SQL that tells whether anybody waits for what is done. */
  awaited: string;
  /**
   * Acts on the events after `from` in one statement, which holds `move` and does nothing where that returns no row. Resolves with
   * `beat`, null if somebody else has moved the tail, and `awaited`.
   */
  store: (from: EventPosition, page: TailPage, move: TailMove) => Promise<Done & Moved>;
}

/** What a statement that moves the tail says of it. */
export interface Moved {
  /** The new one. */
  beat: string | null;
  awaited: boolean;
}

/** The statement that moves the tail from where it was read, for a CTE. Its five values begin with `$first` of the whole statement. */
export interface TailMove {
  sql: (first: number) => string;
  values: unknown[];
}

/**
 * A place in the log that all servers share: each committed event is acted on once, in the order of the log. One server does so at
 * a time, until it ends or dies. The position moves in the statement of the effect, and only from where it was read, so nothing is
 * left out or done twice even if two servers believe that it is their turn.
 */
export class SharedTail<Done> {
  private readonly options: SharedTailOptions<Done>;
  private place: Place | null = null;
  private owner: string | null = null;
  private awaited = true;
  /** How many events the next statement takes: fewer after one that took too long. */
  private page = PAGE;

  constructor(options: SharedTailOptions<Done>) {
    this.options = options;
  }

  /** Whether this server moved it last. */
  get isInTurn(): boolean {
    return this.place !== null;
  }

  /** Whether anybody waited for what is done, when it was last looked at: if not, it is enough to advance now and then. */
  get isAwaited(): boolean {
    return this.awaited;
  }

  /** Acts on all that is committed, if it is this server's turn. Gives what each statement has done. */
  async advance(): Promise<Done[]> {
    const me = this.options.serverId();
    if (this.owner !== me) this.place = null;
    this.owner = me;
    const all: Done[] = [];
    for (let more = true; more;) {
      this.place ??= await this.take(me);
      if (!this.place) return all;
      const page = await readTail(this.options.pool, this.place.position, this.page);
      ({ more } = page);
      // A position that only names a later snapshot need not be stored: what it leaves out is empty.
      if (page.events.length === 0 && page.position.epoch === this.place.position.epoch && !more) return all;
      all.push(await this.move(this.place, page));
    }
    return all;
  }

  /** Lets another server take over at once. */
  async leave(): Promise<void> {
    if (!this.place) return;
    this.place = null;
    await this.options.pool.query(`UPDATE ${this.options.table} SET owner = NULL WHERE owner = $1`, [this.owner]);
  }

  /** Null while a living server has it. */
  private async take(me: string): Promise<Place | null> {
    const { pool, table, awaited } = this.options;
    const { rows } = await pool.query<EventPosition & { beat: string; free: boolean; mine: boolean; awaited: boolean }>(
      {
        name: `read-${table}`,
        text: `SELECT epoch, told, telling, seq::text AS seq, beat::text AS beat, owner IS NOT DISTINCT FROM $1 AS mine,
          owner IS NULL OR NOT EXISTS (SELECT FROM server WHERE id = owner) AS free, ${awaited} AS awaited
        FROM ${table}`,
        values: [me],
      },
    );
    const [found] = rows;
    if (!found) throw new Error(`there is no place in the log in ${table}`);
    const { beat, free, mine, epoch, told, telling, seq } = found;
    const position = { epoch, told, telling, seq };
    this.awaited = found.awaited;
    if (mine) return { position, beat };
    if (!free) return null;
    const { rows: taken } = await pool.query<{ beat: string }>({
      name: `take-${table}`,
      text: `UPDATE ${table} SET owner = $2, beat = beat + 1 WHERE beat = $1 RETURNING beat::text AS beat`,
      values: [beat, me],
    });
    return taken[0] ? { position, beat: taken[0].beat } : null;
  }

  private async move({ position, beat }: Place, page: TailPage): Promise<Done> {
    // If this fails, the row says where the tail is.
    this.place = null;
    const { epoch, told, telling, seq } = page.position;
    const move = {
      sql: (first: number) => /* sql */ `UPDATE ${this.options.table} SET epoch = $${first + 1}, told = $${first + 2},
        telling = $${first + 3}, seq = $${first + 4}, beat = beat + 1 WHERE beat = $${first} RETURNING beat::text AS beat`,
      values: [beat, epoch, told, telling, seq],
    };
    const done = await this.options.store(position, page, move).catch((error: unknown) => {
      if (isQueryCanceled(error)) this.page = Math.max(1, Math.floor(this.page / 2));
      throw error;
    });
    this.page = Math.min(PAGE, this.page * 2);
    this.awaited = done.awaited;
    if (done.beat !== null) this.place = { position: page.position, beat: done.beat };
    return done;
  }
}
