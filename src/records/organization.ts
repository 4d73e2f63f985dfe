import type { Pool } from '../db.ts';
import type { Caller } from '../access/caller.ts';
import { ValueReader } from '../value-reader.ts';

export interface UpdateOrganizationInput {
  name?: string | null | undefined;
  timeZone?: string | null | undefined;
  /** Null keeps everything. Of its fields, one left out stays, and null keeps for ever. */
  retention?: RetentionInput | null | undefined;
}

export interface RetentionInput {
  conversationDays?: number | null | undefined;
  attachmentDays?: number | null | undefined;
}

/** The longest time that can be said, in days. */
export const MAX_RETENTION_DAYS = 36_500;

/** Changes what is known of the caller's organization. What is left out stays. */
export async function updateOrganization(
  { pool }: { pool: Pool },
  { organizationId }: Pick<Caller, 'organizationId'>,
  input: UpdateOrganizationInput,
): Promise<{ organizationId: string }> {
  const reader = new ValueReader();
  for (const field of ['name', 'timeZone'] as const) {
    if (input[field] === null) reader.refuse([field], 'Cannot be cleared.');
  }
  const name = reader.text(['name'], input.name, 200);
  if (name?.trim() === '') reader.refuse(['name'], 'Is empty.', 'REQUIRED');
  const timeZone = reader.text(['timeZone'], input.timeZone, 100);
  if (timeZone !== undefined && !(await isTimeZone(pool, timeZone))) {
    reader.refuse(['timeZone'], 'Is not the IANA name of a time zone, such as Europe/Berlin.', 'NOT_FOUND');
  }
  const retention = readRetention(reader, input.retention);
  reader.finish();
  await pool.query({
    name: 'update-organization',
    text: `UPDATE organization SET name = coalesce($2, name), time_zone = coalesce($3, time_zone),
        conversation_days = CASE WHEN $4::jsonb ? 'conversationDays' THEN ($4::jsonb->>'conversationDays')::int ELSE conversation_days END,
        attachment_days = CASE WHEN $4::jsonb ? 'attachmentDays' THEN ($4::jsonb->>'attachmentDays')::int ELSE attachment_days END
      WHERE id = $1`,
    values: [organizationId, name ?? null, timeZone ?? null, JSON.stringify(retention)],
  });
  return { organizationId };
}

/** What is to change: a field left out is not there. */
function readRetention(reader: ValueReader, input: RetentionInput | null | undefined): RetentionInput {
  if (input === undefined) return {};
  if (input === null) return { conversationDays: null, attachmentDays: null };
  for (const field of ['conversationDays', 'attachmentDays'] as const) {
    const days = input[field];
    if (days == null || (days >= 1 && days <= MAX_RETENTION_DAYS)) continue;
    reader.refuse(['retention', field], `Must be from 1 to ${MAX_RETENTION_DAYS}, or null.`, 'OUT_OF_RANGE');
  }
  return input;
}

/** Both must know it: the database, which counts the days, and this program. */
async function isTimeZone(pool: Pool, name: string): Promise<boolean> {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
  } catch {
    return false;
  }
  const { rows } = await pool.query({ text: 'SELECT FROM pg_timezone_names WHERE name = $1', values: [name] });
  return rows.length > 0;
}
