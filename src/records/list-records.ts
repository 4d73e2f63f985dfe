import type { Queryable } from '../db.ts';
import type { RecordFilter } from './filter.ts';

/** A question with the reply that answers it: the latest, if it was regenerated. Null while there is none that has ended. */
export interface QuestionRecord {
  id: string;
  createdAt: Date;
  conversationId: string;
  answerId: string | null;
  answeredAt: Date | null;
}

export interface RecordQuery {
  organizationId: string;
  filter: RecordFilter;
  after: { createdAt: Date; id: string } | null;
  before: { createdAt: Date; id: string } | null;
  limit: number;
  inverted: boolean;
}

/** When a day begins in the time zone of the organization `o`. */
export const beginOf = (day: string) => `(${day})::timestamp AT TIME ZONE o.time_zone`;

/** The reply that answers the question `m`. */
export const answer = `SELECT * FROM message r WHERE r.in_reply_to_id = m.id AND r.role = 'AGENT' AND r.status <> 'IN_PROGRESS'
  ORDER BY r.position DESC LIMIT 1`;

/**
 * `$4` the agent, `$5` the inbox, `$6` and `$7` what the texts contain, `$8` the rating. Needs no answer that is joined: most questions
 * are found without theirs.
 */
export const recordFilter = `($4::uuid IS NULL OR c.agent_id = $4) AND ($5::uuid IS NULL OR c.inbox_id = $5)
  AND ($6::text IS NULL OR EXISTS (SELECT FROM fragment f WHERE f.message_id = m.id AND f.kind = 'TEXT' AND f.text ILIKE $6))
  AND ($7::text IS NULL OR EXISTS (
    SELECT FROM (${answer}) a JOIN fragment f ON f.message_id = a.id WHERE f.kind = 'TEXT' AND f.text ILIKE $7))
  AND ($8::"Rating" IS NULL OR EXISTS (SELECT FROM (${answer}) a JOIN feedback b ON b.message_id = a.id WHERE b.rating = $8))`;

const containing = (text: string | null) => text && `%${text.replace(/[\\%_]/g, '\\$&')}%`;

/** The values of `recordFilter`. */
export const filterValues = (filter: RecordFilter) => [
  filter.agentId,
  filter.inboxId,
  containing(filter.userMessage),
  containing(filter.botMessage),
  filter.rating,
];

/** A page of records, oldest question first. */
export async function listRecords(db: Queryable, query: RecordQuery): Promise<QuestionRecord[]> {
  const { after, before } = query;
  const way = query.inverted ? 'DESC' : 'ASC';
  const { rows } = await db.query<QuestionRecord>({
    text: `SELECT m.id, m.created_at AS "createdAt", m.conversation_id AS "conversationId", a.id AS "answerId",
        a.completed_at AS "answeredAt"
      FROM message m JOIN organization o ON o.id = m.organization_id
      JOIN conversation c ON c.organization_id = m.organization_id AND c.id = m.conversation_id
      LEFT JOIN LATERAL (${answer}) a ON true
      WHERE m.organization_id = $1 AND m.role = 'USER' AND ${recordFilter}
        AND m.created_at >= ${beginOf('$2::date')} AND m.created_at < ${beginOf('$3::date + 1')}
        AND ($9::timestamptz IS NULL OR (m.created_at, m.id) > ($9, $10::uuid))
        AND ($11::timestamptz IS NULL OR (m.created_at, m.id) < ($11, $12::uuid))
      ORDER BY m.created_at ${way}, m.id ${way} LIMIT $13`,
    values: [
      query.organizationId,
      query.filter.startDate,
      query.filter.endDate,
      ...filterValues(query.filter),
      after?.createdAt ?? null,
      after?.id ?? null,
      before?.createdAt ?? null,
      before?.id ?? null,
      query.limit,
    ],
  });
  return rows;
}
