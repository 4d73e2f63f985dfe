import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { useDatabase } from './harness/database.ts';

const { pool } = useDatabase();

interface Tenant {
  organization: string;
  agent: string;
  contact: string;
  inbox: string;
  corpus: string;
  article: string;
  conversation: string;
}

async function addTenant(): Promise<Tenant> {
  const [organization, agent, contact, inbox] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
  const [corpus, article, conversation] = [randomUUID(), randomUUID(), randomUUID()];
  const rows: [string, string[]][] = [
    [`organization (id, name) VALUES ($1, 'One')`, [organization]],
    [`corpus (organization_id, id, name) VALUES ($1, $2, 'Help')`, [organization, corpus]],
    [`article (corpus_id, id, slug, title, body) VALUES ($1, $2, 'a', 'A', 'B')`, [corpus, article]],
    [`agent (organization_id, id, name, runtime) VALUES ($1, $2, 'Ada', 'knowledge')`, [organization, agent]],
    [`contact (organization_id, id) VALUES ($1, $2)`, [organization, contact]],
    [`inbox (organization_id, id, name, channel) VALUES ($1, $2, 'Web', 'WEB_CHAT')`, [organization, inbox]],
    [
      'conversation (organization_id, id, agent_id, contact_id, inbox_id, corpus_id) VALUES ($1, $2, $3, $4, $5, $6)',
      [organization, conversation, agent, contact, inbox, corpus],
    ],
  ];
  for (const [row, values] of rows) await pool.query(`INSERT INTO ${row}`, values);
  return { organization, agent, contact, inbox, corpus, article, conversation };
}

let ours: Tenant;
let theirs: Tenant;
beforeAll(async () => {
  ours = await addTenant();
  theirs = await addTenant();
});

/** A row of ours with a reference, and whose object is referred to. */
const references: [string, string, (of: Tenant) => string[]][] = [
  [
    'the default agent of an organization',
    'UPDATE organization SET default_agent_id = $2 WHERE id = $1',
    (of) => [of.agent],
  ],
  ['the corpus of an agent', 'UPDATE agent SET corpus_id = $2 WHERE organization_id = $1', (of) => [of.corpus]],
  ['the agent of an inbox', 'UPDATE inbox SET agent_id = $2 WHERE organization_id = $1', (of) => [of.agent]],
  [
    'the email inbox of a web chat',
    'UPDATE inbox SET email_inbox_id = $2 WHERE organization_id = $1',
    (of) => [of.inbox],
  ],
  [
    'the secret of an inbox',
    'INSERT INTO letter_secret (organization_id, inbox_id, hash) VALUES ($1, $2, gen_random_uuid())',
    (of) => [of.inbox],
  ],
  [
    'the inbox of a letter',
    `INSERT INTO letter (organization_id, inbox_id, id, direction, key) VALUES ($1, $2, gen_random_uuid(), 'IN', gen_random_uuid())`,
    (of) => [of.inbox],
  ],
  [
    'the conversation of a letter',
    `INSERT INTO letter (organization_id, conversation_id, id, direction, key)
      VALUES ($1, $2, gen_random_uuid(), 'OUT', gen_random_uuid())`,
    (of) => [of.conversation],
  ],
  [
    'the agent of a conversation',
    'UPDATE conversation SET agent_id = $2 WHERE organization_id = $1',
    (of) => [of.agent],
  ],
  [
    'the contact of a conversation',
    'UPDATE conversation SET contact_id = $2 WHERE organization_id = $1',
    (of) => [of.contact],
  ],
  [
    'the inbox of a conversation',
    'UPDATE conversation SET inbox_id = $2 WHERE organization_id = $1',
    (of) => [of.inbox],
  ],
  [
    'the corpus of a conversation',
    'UPDATE conversation SET corpus_id = $2 WHERE organization_id = $1',
    (of) => [of.corpus],
  ],
  [
    'the conversation of a message',
    `INSERT INTO message (organization_id, conversation_id, id, position, role, author, status, created_version)
      VALUES ($1, $2, gen_random_uuid(), 0, 'USER', '{}', 'DONE', 1)`,
    (of) => [of.conversation],
  ],
  [
    'the conversation of a handoff',
    'INSERT INTO handoff (organization_id, conversation_id, id, started_version) VALUES ($1, $2, gen_random_uuid(), 1)',
    (of) => [of.conversation],
  ],
  [
    'the conversation of a text that is searched',
    `INSERT INTO search_text (organization_id, conversation_id, source_id, index, words)
      VALUES ($1, $2, gen_random_uuid(), 0, '')`,
    (of) => [of.conversation],
  ],
  [
    'the conversation of an attachment',
    `INSERT INTO attachment (organization_id, conversation_id, id, uploader, type, filename, bytes, secret)
      VALUES ($1, $2, gen_random_uuid(), 'key:', 'OTHER', 'a', 1, '')`,
    (of) => [of.conversation],
  ],
  [
    'the person of an attachment',
    `INSERT INTO attachment (organization_id, contact_id, id, uploader, type, filename, bytes, secret)
      VALUES ($1, $2, gen_random_uuid(), 'contact:', 'OTHER', 'a', 1, '')`,
    (of) => [of.contact],
  ],
  [
    'the corpus of a question without an answer',
    `INSERT INTO unanswered_question (organization_id, corpus_id, id, text, terms, likeness)
      VALUES ($1, $2, gen_random_uuid(), 'Why?', '{}', 'why')`,
    (of) => [of.corpus],
  ],
];

describe('the database itself', () => {
  test.each(references)('takes %s from the own organization and from no other', async (_what, sql, referred) => {
    await expect(pool.query(sql, [ours.organization, ...referred(theirs)])).rejects.toMatchObject({ code: '23503' });
    await pool.query(sql, [ours.organization, ...referred(ours)]);
  });

  test('takes a passage into the corpus of its article and into no other', async () => {
    const insert = (corpus: string) =>
      pool.query(
        `INSERT INTO passage (article_id, index, corpus_id, title, heading, text) VALUES ($1, 0, $2, 'T', '', 'Text.')`,
        [ours.article, corpus],
      );
    await expect(insert(theirs.corpus)).rejects.toMatchObject({ code: '23503' });
    await insert(ours.corpus);
  });

  test('knows the organization in each reference between rows that have one', async () => {
    const { rows } = await pool.query<{ name: string }>(`
      SELECT conname AS name FROM pg_constraint AS c
      WHERE contype = 'f' AND confrelid <> 'organization'::regclass
        AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = conrelid AND attname = 'organization_id')
        AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = confrelid AND attname = 'organization_id')
        AND NOT (convalidated AND EXISTS (
          SELECT FROM pg_attribute WHERE attrelid = conrelid AND attname = 'organization_id' AND attnum = ANY (conkey)))`);
    // A message takes the place of one in the same conversation: the statement that writes it has locked that. The same statement
    // names its attachments.
    expect(rows.map(({ name }) => name).sort()).toEqual(['attachment_message_id_fkey', 'message_supersedes_id_fkey']);
  });

  test('clears what referred to a deleted object, and nothing else of the row', async () => {
    const { organization, agent, contact, inbox, corpus, conversation } = await addTenant();
    await pool.query('DELETE FROM contact WHERE id = $1', [contact]);
    await pool.query('DELETE FROM inbox WHERE id = $1', [inbox]);
    await pool.query('DELETE FROM corpus WHERE id = $1', [corpus]);
    const { rows } = await pool.query('SELECT * FROM conversation WHERE id = $1', [conversation]);
    expect(rows).toMatchObject([
      { organization_id: organization, agent_id: agent, contact_id: null, inbox_id: null, corpus_id: null },
    ]);
    await expect(pool.query('DELETE FROM agent WHERE id = $1', [agent])).rejects.toMatchObject({ code: '23001' });
    await pool.query('UPDATE organization SET default_agent_id = $2 WHERE id = $1', [organization, agent]);
    await pool.query('DELETE FROM conversation WHERE id = $1', [conversation]);
    await pool.query('DELETE FROM organization WHERE id = $1', [organization]);
  });
});
