import { createHash } from 'node:crypto';
import type pg from 'pg';
import { inTransaction, LONG_STATEMENT_MS, type Pool } from '../../db.ts';
import type { NewId } from '../../ids.ts';
import type { LetterInbox } from '../../inboxes/letter-secrets.ts';
import { addJobSql, receiveTask } from '../model.ts';
import { headOf } from '../letter/dmarc.ts';

/**
 * Stores a letter as it came, with the job that reads it. False if the inbox has had it before: a letter is known by its Message-ID,
 * and one without by all of its bytes.
 */
export async function storeLetter(
  { pool, newId }: { pool: Pool; newId: NewId },
  { inboxId, organizationId }: LetterInbox,
  raw: Buffer,
): Promise<boolean> {
  const mailId = mailIdOf(raw);
  const name = createHash('sha256')
    .update(mailId === null ? 'bytes ' : 'id ')
    .update(mailId ?? raw)
    .digest('hex');
  const store = (db: pg.PoolClient) =>
    db.query({
      name: 'store-letter',
      text: storeSql,
      values: [newId(), organizationId, inboxId, `in:${inboxId}:${name}`, mailId, raw],
    });
  const { rowCount } = await inTransaction(pool, store, { statementMs: LONG_STATEMENT_MS });
  return rowCount === 1;
}

const storeSql = /* sql */ `
WITH stored AS (
  INSERT INTO letter (id, organization_id, inbox_id, direction, key, mail_id) VALUES ($1, $2, $3, 'IN', $4, $5)
  ON CONFLICT (organization_id, key) DO NOTHING RETURNING *
), kept AS (
  INSERT INTO letter_source (letter_id, organization_id, raw) SELECT id, organization_id, $6::bytea FROM stored
)
SELECT ${addJobSql(receiveTask, 'stored')} FROM stored`;

/** The Message-ID in the headers, without angle brackets. Null if there is none, or none that can be believed to be one. */
function mailIdOf(raw: Buffer): string | null {
  const head = headOf(raw).replace(/\r?\n[ \t]+/g, ' ');
  const id = /^message-id:[ \t]*<?([^\s<>]{1,998})>?[ \t]*$/im.exec(head)?.[1];
  return id === undefined || !/^[\x21-\x7e]+$/.test(id) ? null : id;
}
