import pg from 'pg';
import { expect, test } from 'vitest';
import { graphql, RefusedError, subscribeWs } from '../harness/client.ts';
import { createConversation } from '../harness/commands.ts';
import { useServer } from '../harness/server.ts';

const server = useServer();

/** So many sends, one after the other, take longer than an operation may work, when each of them waits for the table of messages. */
const SENDS = 20;

const sends = (name: string) =>
  `mutation ${name}($id: ID!) { ${Array.from(
    { length: SENDS },
    (_, i) =>
      `s${i}: sendMessage(input: { conversationId: $id, content: { text: "${i}" }, action: NONE }) { __typename }`,
  ).join(' ')} }`;

/**
 * Lets those who wait for the table of messages through every two seconds, which is shorter than they may wait for a lock. Two take
 * turns: as one holds the table the other waits for it already, so that whoever was let through waits again for his next message.
 */
function slowDown(url: string): () => Promise<void> {
  let isOver = false;
  const turns = async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    while (!isOver) {
      await client.query('BEGIN; LOCK TABLE message IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1); COMMIT');
    }
    await client.end();
  };
  const done = Promise.all([turns(), turns()]);
  return async () => {
    isOver = true;
    await done;
  };
}

const codeOf = (errors: readonly { extensions?: Record<string, unknown> }[] = []) =>
  errors.map(({ extensions }) => extensions?.code);

test('an operation that has had its time does no more, whichever way it came', async () => {
  const ids = await Promise.all(
    Array.from({ length: 3 }, async () => (await createConversation(server, { action: 'NONE' })).conversation.id),
  );
  const [known = '', fresh = '', socket = ''] = ids;
  // So that this document takes the short path from now on.
  expect((await graphql(server, sends('Known'), { id: known })).errors).toBeUndefined();
  const count = async (id: string) => {
    const query = 'query ($id: ID!) { conversation(id: $id) { messages(first: 100) { nodes { id } } } }';
    const { data } = await graphql<{ conversation: { messages: { nodes: unknown[] } } }>(server, query, { id });
    return data?.conversation.messages.nodes.length ?? NaN;
  };
  const release = slowDown(server.databaseUrl);
  const overWebSocket = async () => {
    const refusal: unknown = await subscribeWs(server, sends('Socket'), { id: socket })
      .next()
      .catch((error: unknown) => error);
    return refusal instanceof RefusedError ? refusal.errors : [];
  };
  const answers = await Promise.all([
    graphql(server, sends('Known'), { id: known }).then(({ errors }) => errors),
    graphql(server, sends('Fresh'), { id: fresh }).then(({ errors }) => errors),
    overWebSocket(),
  ]);
  await release();
  // One for each send that was not done, or one for the whole operation where a send took too long to tell its own.
  for (const errors of answers) expect(new Set(codeOf(errors))).toEqual(new Set(['SERVICE_UNAVAILABLE']));
  const done = [(await count(known)) - SENDS, await count(fresh), await count(socket)];
  for (const sent of done) {
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(SENDS);
  }
}, 120_000);
