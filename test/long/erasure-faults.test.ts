import { rmSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { decodeAnyId } from '../../src/ids.ts';
import { ask, subscribeWs, type Target } from '../harness/client.ts';
import { createConversation, send } from '../harness/commands.ts';
import { useDatabase } from '../harness/database.ts';
import { type Program, usePrograms } from '../harness/process.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const MESSAGES = 20_000;
const database = useDatabase();
const programs = usePrograms();
const dataDir = createTemporaryFolder();
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
const key = 'key-of-the-erasure-tests';

type Server = Program & Target;
async function start(): Promise<Server> {
  const program = await programs.start({
    DATABASE_URL: database.url,
    EVENTS_URL: 'memory:',
    BOOTSTRAP_API_KEY: key,
    DATA_DIR: dataDir,
    LEASE_SECONDS: '2',
    LOG_LEVEL: 'warn',
  });
  return Object.assign(program, { key });
}

interface Erasure {
  status: string;
  outcomes: { status: string; conversations: number; messages: number }[];
}
const progressOf = (server: Server, id: string) =>
  subscribeWs<{ job: Erasure & { progress: number } }>(
    server,
    `subscription { job: jobProgress(id: "${id}") { status progress ... on Erasure { outcomes { status conversations messages } } } }`,
  );

const traces = async () => {
  const { rows: tables } = await database.pool.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('public', 'graphile_worker')`,
  );
  let count = 0;
  for (const { name } of tables) {
    const { rows } = await database.pool.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM ${name} t WHERE t::text ~* 'zqleaver'`,
    );
    count += rows[0]?.count ?? 0;
  }
  return count;
};

test(
  'an erasure whose servers are killed again and again is completed, and counts nothing twice',
  { timeout: 300_000 },
  async () => {
    const first = await start();
    const contact = async (name: string) => {
      const { result } = await ask<{ result: { contact: { id: string } } }>(
        first,
        `mutation { result: upsertContact(input: { externalId: "${name}", displayName: "${name}" }) {
        ... on UpsertContactPayload { contact { id } } } }`,
      );
      return result.contact.id;
    };
    const [leaver, other] = [await contact('zqleaver'), await contact('another')];
    const uuid = (id: string) => decodeAnyId(id)?.uuid ?? '';
    const ids: string[] = [];
    for (const contactId of [leaver, other]) {
      const { conversation } = await createConversation(first, { contactId, action: 'NONE' });
      await send(first, {
        conversationId: conversation.id,
        contactId: leaver,
        content: { text: 'zqleaver 0' },
        action: 'NONE',
      });
      ids.push(conversation.id);
    }
    // One conversation of their own, and one of somebody else in which they have written every second message.
    for (const [index, id] of ids.entries()) {
      await database.pool.query(
        `WITH said AS (
        INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version)
        SELECT gen_random_uuid(), c.id, c.organization_id, n, 'USER',
          CASE WHEN n % 2 = 0 THEN jsonb_build_object('kind', 'END_USER', 'contactId', $2::text, 'displayName', 'zqleaver')
            ELSE '{"kind": "END_USER"}' END, 'DONE', 1
        FROM conversation c, generate_series(2, $3::int) n WHERE c.id = $1 RETURNING id, position
      ) INSERT INTO fragment (message_id, index, kind, status, text, units)
      SELECT id, 0, 'TEXT', 'DONE', CASE WHEN position % 2 = 0 OR $4 = 0 THEN 'zqleaver ' ELSE 'other ' END || position, 9 FROM said`,
        [uuid(id), uuid(leaver), MESSAGES, index],
      );
      await database.pool.query('UPDATE conversation SET next_position = $2, message_count = $2 WHERE id = $1', [
        uuid(id),
        MESSAGES + 1,
      ]);
    }
    const others = async () => {
      const { rows } = await database.pool.query<{ row: string }>(
        `SELECT m::text || f::text AS row FROM message m JOIN fragment f ON f.message_id = m.id
        WHERE m.conversation_id = $1 AND m.author->>'contactId' IS NULL AND m.erased_at IS NULL ORDER BY m.position`,
        [uuid(ids[1] ?? '')],
      );
      return rows.map(({ row }) => row);
    };
    const before = await others();
    const { result } = await ask<{ result: { erasure: { id: string } } }>(
      first,
      `mutation { result: eraseContacts(input: { contacts: [{ externalId: "zqleaver" }] }) {
      ... on EraseContactsPayload { erasure { id } } } }`,
    );
    let server = first;
    let left = await traces();
    for (let kills = 0; kills < 4; kills += 1) {
      // In the middle of what is left.
      while ((await traces()) > left * 0.75);
      await server.kill('SIGKILL');
      left = await traces();
      server = await start();
    }
    let last: Erasure | undefined;
    for await (const { job } of progressOf(server, result.erasure.id)) last = job;
    expect(last?.status).toBe('DONE');
    expect(last?.outcomes).toEqual([{ status: 'ERASED', conversations: 1, messages: MESSAGES + MESSAGES / 2 + 1 }]);
    expect(await traces()).toBe(0);
    expect(await others()).toEqual(before);
    const { rows } = await database.pool.query<{ erased: number }>(
      `SELECT count(*)::int AS erased FROM event WHERE conversation_id = $1 AND type = 'MessageErased'`,
      [uuid(ids[1] ?? '')],
    );
    expect(rows[0]?.erased).toBe(MESSAGES / 2 + 1);
    await server.kill('SIGKILL');
  },
);
