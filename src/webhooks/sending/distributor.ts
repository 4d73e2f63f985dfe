import type { Pool } from '../../db.ts';
import { type Moved, SharedTail } from '../../conversations/log/shared-tail.ts';
import { encodeEventPosition, type EventPosition, type TailPage } from '../../conversations/log/tail.ts';
import { awaitedSql, distributeSql } from './distribute-statement.ts';

/** What a distribution has led to. */
export interface Distributed {
  /** Deliveries that are new. */
  made: number;
  /** Conversations whose deliveries are to be removed. */
  erasures: number;
}

interface Options {
  pool: Pool;
  /** Throws while other servers may consider this one dead. */
  serverId: () => string;
}

/** Makes the events of the log deliveries of the webhooks that want them: one row for each, in the order of the log. */
export function webhookTail({ pool, serverId }: Options): SharedTail<Distributed> {
  return new SharedTail<Distributed>({
    pool,
    serverId,
    table: 'webhook_tail',
    awaited: awaitedSql,
    store: async (from, page, move) => {
      const { rows } = await pool.query<Distributed & Moved>({
        name: 'distribute-events',
        text: distributeSql(`${move.sql(3)}, NULL::uuid AS replayed, NULL::timestamptz AS since`),
        values: [...placesOf(from, page), ...move.values],
      });
      return rows[0] ?? { beat: null, awaited: true, made: 0, erasures: 0 };
    },
  });
}

/** The events of a page with the position after each: the first values of the statement. */
export function placesOf(from: EventPosition, { events, until }: TailPage): [string[], string[]] {
  return [events.map(({ seq }) => seq), events.map(({ seq }) => encodeEventPosition({ ...from, telling: until, seq }))];
}
