import pg from 'pg';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { encodePageCursor } from '../../src/graphql/connection.ts';
import { decodeId } from '../../src/ids.ts';
import { ask } from './client.ts';
import { createConversation } from './commands.ts';
import { execute } from './database.ts';
import { type TestServer, useServer } from './server.ts';

const SMALL = 1_000;
/** As many replies have been generated again. */
const SUPERSEDED_EVERY = 10;

/** A conversation with so many messages, every tenth of which replaces the one before. */
async function conversationOf(server: TestServer, messages: number): Promise<string> {
  const { conversation } = await createConversation(server, { action: 'NONE' });
  const id = decodeId('Conversation', conversation.id);
  // Not of the server's own connections, whose statements have a time limit.
  const client = new pg.Client(server.databaseUrl);
  await client.connect();
  try {
    await client.query('BEGIN');
    // Spares a million look-ups of the same conversation.
    await client.query("SET LOCAL session_replication_role = 'replica'");
    await client.query(
      `INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version, supersedes_id)
      SELECT ${messageId('i')}, c.id, c.organization_id, i,
        (CASE WHEN i % 2 = 0 THEN 'USER' ELSE 'AGENT' END)::"MessageRole", '{"kind": "SYSTEM"}', 'DONE', i + 2,
        CASE WHEN i % $3 = 0 AND i > 0 THEN ${messageId('i - 1')} END
      FROM conversation c, generate_series(0, $2::int - 1) AS i WHERE c.id = $1`,
      [id, messages, SUPERSEDED_EVERY],
    );
    await client.query('UPDATE conversation SET next_position = $2, message_count = $2 WHERE id = $1', [id, messages]);
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
  return conversation.id;
}

/** An id made of the conversation's and the position, so that ids come in the order of positions. */
function messageId(position: string): string {
  return `(left(c.id::text, 24) || lpad(to_hex(${position}), 12, '0'))::uuid`;
}

interface Node {
  'Node Type': string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  Plans?: Node[];
}

interface Statement {
  text: string;
  values: unknown[];
}

/** What the page holds, and how PostgreSQL reads it: the plans of the statements that the server really sends. */
async function pageOf(server: TestServer, id: string, args: string): Promise<{ positions: number[]; plans: Node[] }> {
  const { pool } = server.services;
  const query = vi.spyOn(pool, 'query');
  const { conversation } = await ask<{ conversation: { messages: { nodes: { position: number }[] } } }>(
    server,
    `query ($id: ID!) { conversation(id: $id) { messages(${args}) { nodes { position } pageInfo { hasNextPage hasPreviousPage } } } }`,
    { id },
  );
  const statements = query.mock.calls.map(statementOf);
  query.mockRestore();

  const plans: Node[] = [];
  for (const { text, values } of statements.filter((statement) => /\bmessage\b/.test(statement.text))) {
    const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
      values,
    );
    plans.push(...rows.map((row) => row['QUERY PLAN'][0].Plan));
  }
  expect(plans).not.toEqual([]);
  return { positions: conversation.messages.nodes.map(({ position }) => position), plans };
}

/** A statement as it was given to the pool: a text, or a query that holds it. */
function statementOf([query, values]: unknown[]): Statement {
  const { text, values: own } = (typeof query === 'string' ? { text: query } : query) as Partial<Statement>;
  return { text: text ?? '', values: own ?? (values as unknown[] | undefined) ?? [] };
}

const nodesOf = (plan: Node): Node[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
const buffersOf = (plans: Node[]) =>
  plans.reduce((sum, plan) => sum + plan['Shared Hit Blocks'] + plan['Shared Read Blocks'], 0);

/** All rows that any part of the plan has touched. */
const rowsOf = (plans: Node[]) =>
  Math.max(
    ...plans
      .flatMap(nodesOf)
      .map((node) => (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']),
  );

const middle = (count: number) => `"${encodePageCursor(count / 2)}"`;

const pages: [name: string, args: (count: number) => string, expected: (count: number) => number[]][] = [
  ['the last 50', () => 'last: 50', (n) => [n - 56, n - 1]],
  ['the first 50', () => 'first: 50', () => [0, 55]],
  ['50 after the middle', (n) => `first: 50, after: ${middle(n)}`, (n) => [n / 2 + 1, n / 2 + 55]],
  ['50 before the middle', (n) => `last: 50, before: ${middle(n)}`, (n) => [n / 2 - 56, n / 2 - 1]],
];

const choices: [name: string, args: string][] = [
  ['', ''],
  [', superseded replies too', ', includeSuperseded: true'],
  [', of both sides', ', roles: [USER, AGENT]'],
];

/** Tests that a page of messages costs the same in a conversation of so many as in one of a thousand. */
export function testCostOfPages(large: number): void {
  const server = useServer();
  let few: string;
  let many: string;
  beforeAll(async () => {
    few = await conversationOf(server, SMALL);
    many = await conversationOf(server, large);
    await execute(server.databaseUrl, 'VACUUM (ANALYZE) message');
  }, 180_000);

  describe.each(choices)('a page of messages%s', (_choice, chosen) => {
    test.each(pages)(`costs the same among ${large} as among ${SMALL}: %s`, async (_name, argsOf, expected) => {
      const among = async (id: string, count: number) => {
        const page = await pageOf(server, id, argsOf(count) + chosen);
        expect(page.positions).toHaveLength(50);
        const [first = 0, last = 0] = expected(count);
        expect(Math.min(...page.positions)).toBeGreaterThanOrEqual(first);
        expect(Math.max(...page.positions)).toBeLessThanOrEqual(last);
        return page.plans;
      };
      const [plansOfFew, plansOfMany] = [await among(few, SMALL), await among(many, large)];
      for (const plans of [plansOfFew, plansOfMany]) {
        const types = plans.flatMap(nodesOf).map((node) => node['Node Type']);
        for (const type of types) expect(type).not.toMatch(/Seq Scan|Sort|Hash/);
        expect(types).toContain('Index Scan');
        // A page, the row that tells whether there are more, and what was left out on the way.
        expect(rowsOf(plans)).toBeLessThanOrEqual(64);
      }
      expect(buffersOf(plansOfMany)).toBeLessThanOrEqual(2 * buffersOf(plansOfFew) + 20);
    });
  });
}
