import type { Pool } from '../../db.ts';
import { type Moved, SharedTail } from '../../conversations/log/shared-tail.ts';
import type { NewId } from '../../ids.ts';
import { addJobSql, LEFT_SECONDS, sendTask } from '../model.ts';

interface Options {
  pool: Pool;
  newId: NewId;
  /** Throws while other servers may consider this one dead. */
  serverId: () => string;
}

/**
 * Makes each message of the agent's side that is complete a letter, with the job that sends it, in the statement that moves the tail
 * of the log: nothing that was committed is left out. Those of email inboxes, and of web chats that go on by one, if the contact has
 * an address.
 */
export function letterTail({ pool, newId, serverId }: Options): SharedTail<{ made: number }> {
  return new SharedTail<{ made: number }>({
    pool,
    serverId,
    table: 'letter_tail',
    awaited: awaitedSql,
    store: async (_from, { events }, move) => {
      const said = events.filter(({ type }) => type === 'MessageCompleted' || type === 'MessageCreated');
      const { rows } = await pool.query<{ made: number } & Moved>({
        name: 'make-letters',
        text: makeSql(move.sql(3)),
        values: [said.map(({ seq }) => seq), said.map(() => newId()), ...move.values],
      });
      return rows[0] ?? { beat: null, awaited: true, made: 0 };
    },
  });
}

/** Whether there is an inbox that letters go out from. */
const awaitedSql = /* sql */ `EXISTS (SELECT FROM inbox WHERE address IS NOT NULL)`;

const makeSql = (move: string) => /* sql */ `
WITH moved AS (${move}),
said AS MATERIALIZED (
  SELECT e.conversation_id, e.message_id, p.id FROM moved, unnest($1::bigint[], $2::uuid[]) AS p(seq, id) JOIN event e ON e.seq = p.seq
  -- The beginning of a reply says nothing yet.
  WHERE e.type = 'MessageCompleted' OR e.data->'reply' IS NULL
), made AS (
  INSERT INTO letter (id, organization_id, inbox_id, conversation_id, message_id, direction, key, automatic)
  SELECT said.id, c.organization_id, mail.id, c.id, m.id, 'OUT', 'out:' || m.id,
    CASE WHEN m.author->>'kind' = 'AI_AGENT' THEN 'AGENT' END
  FROM said JOIN message m ON m.id = said.message_id AND m.role = 'AGENT' AND m.status = 'DONE' AND m.erased_at IS NULL
    JOIN conversation c ON c.id = m.conversation_id
    JOIN inbox i ON i.id = c.inbox_id
    JOIN inbox mail ON mail.id = CASE WHEN i.channel = 'EMAIL' THEN i.id ELSE i.email_inbox_id END AND mail.address IS NOT NULL
    JOIN contact k ON k.id = c.contact_id AND k.email IS NOT NULL AND k.erasing_since IS NULL
  WHERE EXISTS (SELECT FROM fragment f WHERE f.message_id = m.id AND f.kind = 'TEXT' AND f.text <> '')
    OR EXISTS (SELECT FROM attachment a WHERE a.message_id = m.id AND a.deleted_at IS NULL)
  ON CONFLICT (organization_id, key) DO NOTHING RETURNING *
), jobs AS (
  SELECT ${addJobSql(
    sendTask,
    'made',
    `now() + CASE WHEN made.inbox_id = c.inbox_id THEN interval '0' ELSE interval '${LEFT_SECONDS} seconds' END`,
  )} FROM made JOIN conversation c ON c.id = made.conversation_id
)
SELECT (SELECT beat FROM moved) AS beat, (SELECT count(*) FROM jobs)::int AS made, ${awaitedSql} AS awaited`;
