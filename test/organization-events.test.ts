import pg from 'pg';
import { beforeAll, expect, test } from 'vitest';
import { beginning, encodeEventPosition } from '../src/conversations/log/tail.ts';
import { addOrganization } from './harness/access.ts';
import { ask, graphql, subscribeWs, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { useServer } from './harness/server.ts';

const server = useServer();
let other: Target;
beforeAll(async () => {
  const { key } = await addOrganization(server.services);
  other = { url: server.url, key };
});

interface Placed {
  position: string;
  event: { __typename: string; conversationId: string; version?: number };
}

interface Page {
  nodes: Placed[];
  pageInfo: { hasNextPage: boolean; endCursor: string };
}

const fields = '{ position event { __typename conversationId ... on VersionedEvent { version } } }';
const pageOf = `query ($first: Int, $after: String) {
  organizationEvents(first: $first, after: $after) { nodes ${fields} pageInfo { hasNextPage endCursor } }
}`;
const following = `subscription ($after: EventPosition) { organizationEvents(after: $after) ${fields} }`;

/** Pages until there is no more. */
async function readAll(after: string | null, first = 2): Promise<{ read: Placed[]; end: string }> {
  const read: Placed[] = [];
  let from = after;
  for (;;) {
    const { organizationEvents }: { organizationEvents: Page } = await ask(server, pageOf, { first, after: from });
    read.push(...organizationEvents.nodes);
    from = organizationEvents.pageInfo.endCursor;
    if (!organizationEvents.pageInfo.hasNextPage) return { read, end: from };
  }
}

const begin = async (target: Target) => (await createConversation(target, { action: 'NONE' })).conversation.id;
const rename = (target: Target, id: string, title: string) =>
  ask(
    target,
    'mutation ($id: ID!, $title: String!) { updateConversation(input: { conversationId: $id, title: $title }) { __typename } }',
    { id, title },
  );
const nameOf = ({ event }: Placed) => `${event.__typename} ${event.conversationId}`;

test('every event comes once, in order, and only those of the own organization', async () => {
  const { end } = await readAll(null);
  const first = await begin(server);
  const foreign = await begin(other);
  for (const title of ['A', 'B', 'C']) {
    await rename(other, foreign, title);
    await rename(server, first, title);
  }
  const { read, end: later } = await readAll(end);
  expect(read.map(nameOf)).toEqual([
    `ConversationCreated ${first}`,
    ...Array<string>(3).fill(`ConversationUpdated ${first}`),
  ]);
  expect(read.map(({ event }) => event.version)).toEqual([1, 2, 3, 4]);
  expect((await readAll(later)).read).toEqual([]);
  // From the beginning, the same events in the same places.
  expect((await readAll(null, 100)).read.map(nameOf).slice(-4)).toEqual(read.map(nameOf));
});

test('any position resumes right after its event, in pages and in a stream', async () => {
  const { end } = await readAll(null);
  const id = await begin(server);
  for (const title of ['A', 'B', 'C', 'D']) await rename(server, id, title);
  const { read } = await readAll(end, 3);
  expect(read).toHaveLength(5);
  for (const [index, { position }] of read.entries()) {
    const rest = read.slice(index + 1).map(({ event }) => event);
    expect((await readAll(position)).read.map(({ event }) => event)).toEqual(rest);
  }
  const stream = subscribeWs<{ organizationEvents: Placed }>(server, following, { after: read[1]?.position });
  const next = async () => (await stream.next()).value?.organizationEvents.event;
  for (const { event } of read.slice(2)) expect(await next()).toEqual(event);
  await rename(server, id, 'E');
  expect(await next()).toEqual({ __typename: 'ConversationUpdated', conversationId: id, version: 6 });
  await stream.return();
});

test('a stream waits for no transaction that others hold open', async () => {
  const holder = new pg.Client({ connectionString: server.databaseUrl });
  await holder.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT pg_current_xact_id()');
    const { end } = await readAll(null);
    const stream = subscribeWs<{ organizationEvents: Placed }>(server, following, { after: end });
    const id = await begin(server);
    const { value } = await stream.next();
    expect(value?.organizationEvents.event.conversationId).toBe(id);
    await stream.return();
  } finally {
    await holder.end();
  }
});

test('of a deleted conversation only its end remains', async () => {
  const { end } = await readAll(null);
  const id = await begin(server);
  await ask(server, 'mutation ($id: ID!) { deleteConversation(input: { conversationId: $id }) { __typename } }', {
    id,
  });
  expect((await readAll(end)).read.map(nameOf)).toEqual([`ConversationDeleted ${id}`]);
});

test.each([
  ['a malformed position', '{ organizationEvents(after: "nothing") { nodes { position } } }'],
  ['a page backwards', `{ organizationEvents(before: "${encodeEventPosition(beginning)}") { nodes { position } } }`],
  ['the last ones', '{ organizationEvents(last: 5) { nodes { position } } }'],
  ['a page that is too large', '{ organizationEvents(first: 101) { nodes { position } } }'],
])('%s is refused as bad input', async (_what, query) => {
  const { errors } = await graphql(server, query);
  expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['BAD_USER_INPUT']);
});
