import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { eraseOldSources, eraseQuiet, nightAfter } from '../src/erasure/retention.ts';
import { decodeAnyId } from '../src/ids.ts';
import { addOrganization, firstOrganization, type Organization } from './harness/access.ts';
import { ask, type Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { readLog } from './harness/rows.ts';
import { useServer } from './harness/server.ts';

const server = useServer();
let organizationId: string;
let foreign: Organization;
beforeAll(async () => {
  organizationId = await firstOrganization(server.services);
  foreign = await addOrganization(server.services);
});

const uuidOf = (id: string) => decodeAnyId(id)?.uuid ?? '';
const never = new AbortController().signal;

interface Retention {
  conversationDays: number | null;
  attachmentDays: number | null;
}
const keep = async (input: object | null) => {
  const { result } = await ask<{ result: { organization?: { retention: Retention }; issues?: object[] } }>(
    server,
    `mutation ($input: UpdateOrganizationInput!) { result: updateOrganization(input: $input) {
      ... on UpdateOrganizationPayload { organization { retention { conversationDays attachmentDays } } }
      ... on InvalidInputError { issues { path code } } } }`,
    { input: { retention: input } },
  );
  return result.organization?.retention ?? result.issues;
};

/** A conversation in which nothing has happened for so many days. */
async function quiet(days: number, target: Target = server): Promise<string> {
  const { conversation } = await createConversation(target, { action: 'NONE' });
  await send(target, { conversationId: conversation.id, content: { text: 'Hello' }, action: 'NONE' });
  await server.services.pool.query(`UPDATE conversation SET updated_at = now() - $2 * interval '1 day' WHERE id = $1`, [
    uuidOf(conversation.id),
    days,
  ]);
  return conversation.id;
}

test('everything is kept for ever, until somebody says how long', async () => {
  const { organization } = await ask<{ organization: { retention: Retention } }>(
    server,
    '{ organization { retention { conversationDays attachmentDays } } }',
  );
  expect(organization.retention).toEqual({ conversationDays: null, attachmentDays: null });
  expect(await keep({ conversationDays: 30 })).toEqual({ conversationDays: 30, attachmentDays: null });
  expect(await keep({ attachmentDays: 36_500 })).toEqual({ conversationDays: 30, attachmentDays: 36_500 });
  expect(await keep({ conversationDays: null })).toEqual({ conversationDays: null, attachmentDays: 36_500 });
  expect(await keep(null)).toEqual({ conversationDays: null, attachmentDays: null });
});

test.each([0, -1, 36_501])('%i days cannot be said', async (days) => {
  expect(await keep({ conversationDays: days, attachmentDays: days })).toEqual([
    { path: ['retention', 'conversationDays'], code: 'OUT_OF_RANGE' },
    { path: ['retention', 'attachmentDays'], code: 'OUT_OF_RANGE' },
  ]);
});

test('conversations in which nothing has happened for so long are erased, and no others', async () => {
  const { pool } = server.services;
  const old = [await quiet(31), await quiet(400)];
  const young = await quiet(29);
  const theirs = await quiet(400, { url: server.url, key: foreign.key });
  const ended = record(old[0] ?? '');
  expect(await eraseQuiet(server.services, { organizationId, days: 30 }, never)).toBe(2);
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM conversation WHERE id = ANY($1)', [
    [...old, young, theirs].map(uuidOf),
  ]);
  expect(rows.map(({ id }) => id).toSorted()).toEqual([young, theirs].map(uuidOf).toSorted());
  for (const id of old) {
    expect((await readLog(pool, uuidOf(id))).map(({ type }) => type)).toEqual(['ConversationDeleted']);
  }
  expect(await ended).toBe(true);
});

test('the bytes of letters, with the files in them, go when attachments are old, but for those that wait', async () => {
  const { pool, newId } = server.services;
  const letter = async (of: string, status: string, days: number) => {
    const id = newId();
    await pool.query(
      `WITH made AS (
        INSERT INTO letter (id, organization_id, direction, status, key, created_at)
        VALUES ($1::uuid, $2, 'IN', $3::"LetterStatus", $1::uuid::text, now() - $4 * interval '1 day') RETURNING *)
      INSERT INTO letter_source (letter_id, organization_id, raw) SELECT id, organization_id, 'bytes' FROM made`,
      [id, of, status, days],
    );
    return id;
  };
  await letter(organizationId, 'DONE', 31);
  await letter(organizationId, 'FAILED', 31);
  const kept = [
    await letter(organizationId, 'WAITING', 31),
    await letter(organizationId, 'DONE', 29),
    await letter(foreign.id, 'DONE', 31),
  ];
  await eraseOldSources(server.services, { organizationId, days: 30 }, never);
  const { rows } = await pool.query<{ id: string }>('SELECT letter_id AS id FROM letter_source');
  expect(rows.map(({ id }) => id).toSorted()).toEqual(kept.toSorted());
});

/** Whether somebody who follows is told of the end. */
async function record(conversationId: string): Promise<boolean> {
  const held = await server.services.feedRegistry.acquire(uuidOf(conversationId));
  if (!held) return false;
  try {
    await held.feed.changedSince(held.feed.revision, AbortSignal.timeout(10_000));
    return held.feed.deleted;
  } finally {
    held.release();
  }
}

test('a conversation in which somebody writes at that moment stays', async () => {
  const { pool } = server.services;
  const id = await quiet(40);
  const holder = await pool.connect();
  await holder.query('BEGIN');
  await holder.query('UPDATE conversation SET updated_at = now() WHERE id = $1', [uuidOf(id)]);
  const erasing = eraseQuiet(server.services, { organizationId, days: 30 }, never);
  await expect
    .poll(async () => (await pool.query(`SELECT FROM pg_locks WHERE NOT granted`)).rowCount)
    .toBeGreaterThan(0);
  await holder.query('COMMIT');
  holder.release();
  await erasing;
  expect((await pool.query('SELECT FROM conversation WHERE id = $1', [uuidOf(id)])).rowCount).toBe(1);
});

test('one that cannot be erased keeps no other, and a long one is erased bit by bit', async () => {
  const { pool } = server.services;
  const [stuck, long] = [await quiet(50), await quiet(49)];
  await pool.query(
    `INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version)
      SELECT gen_random_uuid(), $1, $2, n, 'USER', '{"kind": "END_USER"}', 'DONE', 1 FROM generate_series(10, 1200) n`,
    [uuidOf(long), organizationId],
  );
  await pool.query(
    `CREATE FUNCTION refuse_deletion() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'stuck'; END $$;
    CREATE TRIGGER stuck BEFORE DELETE ON conversation FOR EACH ROW WHEN (OLD.id = '${uuidOf(stuck)}') EXECUTE FUNCTION refuse_deletion();
    CREATE FUNCTION refuse_many() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF (SELECT count(*) FROM gone) > 500 THEN RAISE 'too many at once'; END IF; RETURN NULL; END $$;
    CREATE TRIGGER many AFTER DELETE ON message REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION refuse_many()`,
  );
  onTestFinished(async () => {
    await pool.query('DROP FUNCTION refuse_deletion CASCADE; DROP FUNCTION refuse_many CASCADE');
  });
  expect(await eraseQuiet(server.services, { organizationId, days: 30 }, never)).toBe(1);
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM conversation WHERE id = ANY($1)', [
    [stuck, long].map(uuidOf),
  ]);
  expect(rows).toEqual([{ id: uuidOf(stuck) }]);
});

test('the night comes once a day, and its job waits for it', async () => {
  expect(nightAfter(new Date('2026-03-01T02:59:59Z'))).toEqual(new Date('2026-03-01T03:00:00Z'));
  expect(nightAfter(new Date('2026-03-01T03:00:00Z'))).toEqual(new Date('2026-03-02T03:00:00Z'));
  const { rows } = await server.services.pool.query<{ run_at: Date }>(
    `SELECT run_at FROM graphile_worker.jobs WHERE key = 'erasure.retention'`,
  );
  expect(rows.map(({ run_at }) => run_at.toISOString().slice(11))).toEqual(['03:00:00.000Z']);
});

test('what is set is erased in the night', async () => {
  const { pool } = server.services;
  const old = await quiet(100);
  await keep({ conversationDays: 90 });
  await pool.query(`UPDATE graphile_worker._private_jobs SET run_at = now() WHERE key = 'erasure.retention'`);
  await pool.query(`SELECT pg_notify('jobs:insert', '{"r":"test","count":1}')`);
  await expect
    .poll(async () => (await pool.query('SELECT FROM conversation WHERE id = $1', [uuidOf(old)])).rowCount, {
      timeout: 15_000,
    })
    .toBe(0);
  await expect
    .poll(
      async () =>
        (await pool.query(`SELECT FROM graphile_worker.jobs WHERE key = 'erasure.retention' AND run_at > now()`))
          .rowCount,
    )
    .toBe(1);
});
