import type { Pool } from '../../db.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { addJobSql, receiveTask, sendTask } from '../model.ts';

/**
 * Tries a letter that failed or came back once more: the same bytes, if it goes out to the same address. One that came in and whose
 * bytes are not kept any more cannot be tried.
 */
export async function retryLetter(
  { pool }: { pool: Pool },
  { organizationId }: { organizationId: string },
  input: { letterId: string },
): Promise<{ letterId: string }> {
  const letterId = decodeId('Letter', input.letterId);
  if (!letterId) throw new NotFoundError(['letterId']);
  const { rows } = await pool.query<{ found: boolean; jobs: number }>({
    name: 'retry-letter',
    text: retrySql,
    values: [letterId, organizationId],
  });
  if (!rows[0]?.found) throw new NotFoundError(['letterId']);
  if (rows[0].jobs === 0) {
    const detail = 'Must have failed or come back, and be kept as it came.';
    throw new InvalidInputError([{ path: ['letterId'], code: 'NOT_ALLOWED', detail }]);
  }
  return { letterId };
}

const retrySql = /* sql */ `
WITH again AS (
  UPDATE letter SET status = 'WAITING', done_at = NULL
  WHERE id = $1 AND organization_id = $2 AND status IN ('FAILED', 'BOUNCED')
    AND (direction = 'OUT' OR EXISTS (SELECT FROM letter_source WHERE letter_id = letter.id)) RETURNING *
), jobs AS (
  SELECT ${addJobSql(sendTask, 'again')} FROM again WHERE direction = 'OUT'
  UNION ALL SELECT ${addJobSql(receiveTask, 'again')} FROM again WHERE direction = 'IN'
)
SELECT EXISTS (SELECT FROM letter WHERE id = $1 AND organization_id = $2) AS found, (SELECT count(*) FROM jobs)::int AS jobs`;
