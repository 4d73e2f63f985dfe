import pg from 'pg';
import { z } from 'zod';
import { decodeId, encodeId, newId } from '../../src/ids.ts';
import { type Bench, type Figure, quantile, type Row } from '../bench.ts';
import { now } from '../clock.ts';
import { createDatabase } from '../database.ts';
import { pgbench, pgbenchVersion } from '../pgbench.ts';
import type { Program } from '../process.ts';
import type { ParleyCommands } from '../programs/parley.ts';
import type { PlainHttpCommands } from '../programs/plain-http.ts';
import { numberedId, randomNumber } from '../send-statement.ts';

const CLIENTS = 20;
const CONVERSATIONS = 500;

const nothing = () => JSON.stringify({ query: '{ __typename }' });

const page = (conversationId: string) => () =>
  JSON.stringify({
    query: `query Page($id: ID!) { conversation(id: $id) { messages(last: 50) { nodes {
      id position role status createdAt author { displayName } fragments { index status ... on TextFragment { text } }
    } } } }`,
    variables: { id: conversationId },
  });

const send = () =>
  JSON.stringify({
    query: `mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { __typename ... on SendMessagePayload {
      message { id position status text } conversation { id version status } } } }`,
    variables: {
      input: {
        conversationId: encodeId('Conversation', numberedId(randomNumber(CONVERSATIONS))),
        content: { text: 'Where does it go on?' },
        action: 'NONE',
      },
    },
  });

interface Turn {
  /** CPU of the server for each request, in microseconds. */
  cpu: number;
  perSecond: number;
}

/** What a request costs beside its statement. */
export const requests: Row = {
  name: 'requests',
  async run(bench) {
    const parley = bench.start<ParleyCommands>('parley');
    const plain = bench.start<PlainHttpCommands>('plain-http');
    const { url, key } = await parley.call('address', null);
    const { url: plainUrl } = await plain.call('address', null);
    await parley.call('openNumbered', { conversations: CONVERSATIONS });
    const conversationId = await fill(bench.databaseUrl, parley, 50);
    const token = await clientToken(url, key, conversationId);
    const [seconds, rounds] = [bench.quick ? 1 : 4, bench.quick ? 1 : 5];

    const beside = async (what: string, body: () => string, credential = key): Promise<Figure> => {
      bench.progress(`requests: ${what}`);
      const measure = {
        ours: () => ask(parley, { url: `${url}/graphql`, key: credential, body, seconds }),
        limit: () => ask(plain, { url: plainUrl, key: '', body, seconds }),
      };
      const { ours, limit } = await bench.alternate(rounds, measure, bench.quick ? 1 : 4);
      const cpu = (turns: Turn[]) => quantile(turns.map((turn) => turn.cpu));
      return { what, unit: 'µs', ours: cpu(ours), limit: cpu(limit) };
    };
    const figures = [
      await beside('CPU of `{ __typename }`', nothing),
      await beside('CPU of a page of 50 messages with 100 fragments', page(conversationId)),
      await beside('  the same for an end user', page(conversationId), token),
      await long(bench, parley, { seconds, rounds }),
      ...(await sends(bench, parley, { url: `${url}/graphql`, key, body: send, seconds, rounds })),
    ];
    return {
      title: `Requests over HTTP, ${CLIENTS} at once`,
      figures,
      notes: [
        "Limit of the first three: Node's HTTP server, without credentials, limits or GraphQL, with one prepared join.",
        'Limit of the time of a page: the same page of a short conversation. With what PostgreSQL does, and in --quick of 100,000.',
        'Limit of the sends: their statement alone, from pgbench; and `sendMessage` called within the process.',
      ],
    };
  },
};

interface Load {
  url: string;
  key: string;
  body: () => string;
  seconds: number;
}

/** Has 20 clients ask for a time, each again as soon as it is answered. */
async function ask(program: Program<Pick<ParleyCommands, 'usage'>>, load: Load): Promise<Turn> {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${load.key}` };
  let count = 0;
  const before = await program.call('usage', { collect: false });
  const deadline = now() + load.seconds * 1000;
  const client = async () => {
    for (; now() < deadline; count += 1) {
      const response = await fetch(load.url, { method: 'POST', headers, body: load.body() });
      const text = await response.text();
      if (!response.ok || text.includes('"errors"')) throw new Error(`A request failed: ${text.slice(0, 500)}`);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  const after = await program.call('usage', { collect: false });
  return { cpu: (after.cpu - before.cpu) / count, perSecond: (count * 1000) / (after.at - before.at) };
}

async function sends(
  bench: Bench,
  parley: Program<ParleyCommands>,
  { rounds, ...load }: Load & { rounds: number },
): Promise<Figure[]> {
  bench.progress('requests: sends');
  const within = { conversations: CONVERSATIONS, connections: CLIENTS, seconds: load.seconds };
  const called = async (): Promise<Turn> => {
    const before = await parley.call('usage', { collect: false });
    const perSecond = await parley.call('send', within);
    const after = await parley.call('usage', { collect: false });
    return { perSecond, cpu: (after.cpu - before.cpu) / (perSecond * load.seconds) };
  };
  const { ours, limit } = await bench.alternate(rounds, { ours: () => ask(parley, load), limit: called });
  const middle = (turns: Turn[], of: keyof Turn) => quantile(turns.map((turn) => turn[of]));
  const statement = await parley.call('statement', null);
  const installed = (await pgbenchVersion()) !== null;
  const rate = installed
    ? await pgbench(bench.databaseUrl, { ...within, statement, newId: 'gen_random_uuid()' })
    : null;
  return [
    { what: 'CPU of a send', unit: 'µs', ours: middle(ours, 'cpu'), limit: middle(limit, 'cpu') },
    { what: 'sends in a second (more is better)', unit: '', ours: middle(ours, 'perSecond'), limit: rate },
  ];
}

/** A page of a long conversation beside a page of a short one, each in a database with little else. */
async function long(
  bench: Bench,
  parley: Program<ParleyCommands>,
  { seconds, rounds }: { seconds: number; rounds: number },
): Promise<Figure> {
  const [short, messages] = [1000, bench.quick ? 100_000 : 1_000_000];
  const [few, many] = [short.toLocaleString('en'), messages.toLocaleString('en')];
  bench.progress(`requests: a page of ${many} messages`);
  const database = await createDatabase(process.env.DATABASE_URL);
  const other = bench.start<ParleyCommands>('parley', { DATABASE_URL: database.url });
  try {
    const pageOf = async (program: Program<ParleyCommands>, databaseUrl: string, count: number) => {
      const { url, key } = await program.call('address', null);
      const body = page(await fill(databaseUrl, program, count));
      const load = { url: `${url}/graphql`, key, body, seconds };
      return async () => 1e6 / (await ask(program, load)).perSecond;
    };
    const limit = await pageOf(parley, bench.databaseUrl, short);
    const ours = await pageOf(other, database.url, messages);
    const times = await bench.alternate(rounds, { ours, limit });
    const what = `time of a page of ${many} messages, beside ${few}`;
    return { what, unit: 'µs', ours: quantile(times.ours), limit: quantile(times.limit) };
  } finally {
    await other.stop();
    await database.drop();
  }
}

/** A conversation with so many messages of two fragments. */
async function fill(databaseUrl: string, parley: Program<ParleyCommands>, messages: number): Promise<string> {
  const [place] = await parley.call('open', { conversations: 1 });
  if (!place) throw new Error('There is no conversation.');
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    // What the search knows of each text would take most of the time.
    await client.query('ALTER TABLE fragment DISABLE TRIGGER USER');
    await client.query(
      `WITH written AS (
        INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version, completed_at)
        SELECT (left($3, 24) || lpad(to_hex(place), 12, '0'))::uuid, $1, (SELECT organization_id FROM conversation WHERE id = $1), place, 'USER',
          '{"kind": "END_USER", "displayName": "Ada"}', 'DONE', 1, now()
        FROM generate_series(1, $2::int) AS place RETURNING id)
      INSERT INTO fragment (message_id, index, kind, status, text, units)
      SELECT id, index, 'TEXT', 'DONE', repeat('Where does it go on? ', 10), 210 FROM written, generate_series(0, 1) AS index`,
      [decodeId('Conversation', place.conversationId), messages, newId()],
    );
    await client.query('ALTER TABLE fragment ENABLE TRIGGER USER');
    await client.query('VACUUM ANALYZE message, fragment');
  } finally {
    await client.end();
  }
  return place.conversationId;
}

const minted = z.object({ data: z.object({ createClientToken: z.object({ token: z.string() }) }) });

async function clientToken(url: string, key: string, conversationId: string): Promise<string> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    body: JSON.stringify({
      query: `mutation Mint($input: CreateClientTokenInput!) { createClientToken(input: $input) {
        ... on CreateClientTokenPayload { token } } }`,
      variables: { input: { for: { conversationId }, expiresInSeconds: 3600 } },
    }),
  });
  return minted.parse(await response.json()).data.createClientToken.token;
}
