import type pg from 'pg';
import type { Pool } from '../db.ts';
import type { Caller } from '../access/caller.ts';
import { InvalidInputError } from '../errors.ts';
import { decodeId, type NewId } from '../ids.ts';
import type { JobQueue } from '../jobs/queue.ts';
import { startJob } from '../jobs/tracked.ts';
import { ValueReader } from '../value-reader.ts';

export const erasureLimits = {
  /** References in one request. */
  references: 1000,
  /** People whom they find. */
  people: 2000,
  /** Bytes of the reason. */
  reason: 1000,
} as const;

/** Exactly one field is given. */
interface ContactReference {
  id?: string | null | undefined;
  externalId?: string | null | undefined;
  email?: string | null | undefined;
}

export interface EraseContactsInput {
  contacts: readonly ContactReference[];
  reason?: string | null | undefined;
}

/** A person whom a reference of this index names. */
interface Named {
  index: number;
  contactId: string;
}

/**
 * Marks people to be erased, and leaves the rest to the queue, in one transaction. From its commit on every command refuses what is
 * written by them or for them: each decides that in the statement that locks the row. What holds one of these people locked, because
 * it writes for them, is waited for, so that the erasure sees it.
 */
export async function eraseContacts(
  services: { pool: Pool; jobs: JobQueue; newId: NewId },
  { organizationId, actor }: Pick<Caller, 'organizationId' | 'actor'>,
  input: EraseContactsInput,
): Promise<{ jobId: string }> {
  const reader = new ValueReader();
  const reason = reader.text(['reason'], input.reason, erasureLimits.reason) ?? null;
  const { length } = input.contacts;
  if (length === 0) reader.refuse(['contacts'], 'Name at least one contact.', 'REQUIRED');
  const { references, people } = erasureLimits;
  if (length > references) reader.refuse(['contacts'], `Are ${length}; at most ${references} are allowed.`, 'TOO_LONG');
  reader.finish();
  const asked = input.contacts.map(({ id, externalId, email }, index) => ({
    index,
    id: id == null ? null : decodeId('Contact', id),
    externalId: storable(externalId),
    email: storable(email),
  }));
  const job = { organizationId, kind: 'ERASURE', input: { reason, actor: { ...actor } } } as const;
  const jobId = await startJob(services, job, async (db, id) => {
    const found = await find(db, organizationId, asked);
    if (found.length > people) {
      const detail = `Name more than ${people} people, whom one erasure may erase at most.`;
      throw new InvalidInputError([{ path: ['contacts'], code: 'TOO_LARGE', detail }]);
    }
    const marked = await mark(db, found);
    const targets = found.filter(({ contactId }) => marked.has(contactId));
    const hit = new Set(targets.map(({ index }) => index));
    const missed = asked.filter(({ index }) => !hit.has(index)).map(({ index }) => ({ index, contactId: null }));
    await db.query({
      text: `INSERT INTO erasure_target (job_id, index, organization_id, reference_index, contact_id, status)
        SELECT $1, row_number() OVER (ORDER BY t.index, t."contactId") - 1, $2, t.index, t."contactId",
          CASE WHEN t."contactId" IS NULL THEN 'NOT_FOUND' ELSE 'PENDING' END::"ErasureStatus"
        FROM jsonb_to_recordset($3::jsonb) AS t(index int, "contactId" uuid)`,
      values: [id, organizationId, JSON.stringify([...targets, ...missed])],
    });
  });
  return { jobId };
}

/** What PostgreSQL cannot store names nobody. */
function storable(text: string | null | undefined): string | null {
  return text == null || text.includes('\0') || !text.isWellFormed() ? null : text;
}

/** Whom the references name. Somebody who is being erased already is named too. */
async function find(db: pg.PoolClient, organizationId: string, asked: readonly object[]): Promise<Named[]> {
  const { rows } = await db.query<Named>({
    text: `WITH asked AS (
        SELECT * FROM jsonb_to_recordset($2::jsonb) AS a(index int, id uuid, "externalId" text, email text)
      )
      SELECT asked.index, c.id AS "contactId" FROM asked JOIN contact c ON c.id = asked.id AND c.organization_id = $1
      UNION
      SELECT asked.index, c.id FROM asked JOIN contact c ON c.external_id = asked."externalId" AND c.organization_id = $1
      UNION
      SELECT asked.index, c.id FROM asked JOIN contact c ON lower(c.email) = lower(asked.email) AND c.organization_id = $1
      LIMIT ${erasureLimits.people + 1}`,
    values: [organizationId, JSON.stringify(asked)],
  });
  return rows;
}

/**
 * Ends their tokens and visits, and forgets at once what need not be known to erase the rest. Returns the ids of those who are still
 * there. In the order of the ids, so that two erasures never wait for each other.
 */
async function mark(db: pg.PoolClient, found: readonly Named[]): Promise<Set<string>> {
  const { rows } = await db.query<{ id: string }>({
    text: 'SELECT id FROM contact WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE',
    values: [found.map(({ contactId }) => contactId)],
  });
  const ids = rows.map(({ id }) => id);
  await db.query({
    text: `UPDATE contact SET erasing_since = now(), token_generation = token_generation + 1, visitor_hash = NULL,
        forget_after = NULL, display_name = NULL, avatar_url = NULL, metadata = '{}'
      WHERE id = ANY($1::uuid[]) AND erasing_since IS NULL`,
    values: [ids],
  });
  return new Set(ids);
}
