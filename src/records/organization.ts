import type pg from 'pg';
import type { Caller } from '../access/caller.ts';
import { ValueReader } from '../value-reader.ts';

export interface UpdateOrganizationInput {
  name?: string | null | undefined;
  timeZone?: string | null | undefined;
}

/** Changes what is known of the caller's organization. What is left out stays. */
export async function updateOrganization(
  { pool }: { pool: pg.Pool },
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
  reader.finish();
  await pool.query({
    name: 'update-organization',
    text: 'UPDATE organization SET name = coalesce($2, name), time_zone = coalesce($3, time_zone) WHERE id = $1',
    values: [organizationId, name ?? null, timeZone ?? null],
  });
  return { organizationId };
}

/** Both must know it: the database, which counts the days, and this program. */
async function isTimeZone(pool: pg.Pool, name: string): Promise<boolean> {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
  } catch {
    return false;
  }
  const { rows } = await pool.query({ text: 'SELECT FROM pg_timezone_names WHERE name = $1', values: [name] });
  return rows.length > 0;
}
