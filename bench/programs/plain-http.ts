// The limit for requests: Node's HTTP server, which reads a body, asks the database by one prepared join, and answers with JSON.
import { createServer, type IncomingMessage } from 'node:http';
import pg from 'pg';
import { z } from 'zod';
import { decodeId } from '../../src/ids.ts';
import { listen } from '../listen.ts';
import { obey } from '../process.ts';
import { type Usage, usage } from './usage.ts';

export type PlainHttpCommands = {
  address(argument: null): Promise<{ url: string }>;
  usage(argument: { collect: boolean }): Promise<Usage>;
};

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const request = z.object({ variables: z.object({ id: z.string() }).optional() });

const server = createServer((req, res) => {
  void answer(req).then((body) => res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body)));
});

/** The latest 50 messages of the conversation that is named, or nothing but the name of a type. */
async function answer(req: IncomingMessage): Promise<object> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) if (chunk instanceof Buffer) chunks.push(chunk);
  const { variables } = request.parse(JSON.parse(Buffer.concat(chunks).toString()));
  if (!variables) return { data: { __typename: 'Query' } };
  const { rows } = await pool.query<object>({
    name: 'page',
    text: `SELECT m.id, m.position, m.role, m.status, m.created_at AS "createdAt", m.author->>'displayName' AS author,
        (SELECT json_agg(json_build_object('index', f.index, 'status', f.status, 'text', f.text) ORDER BY f.index)
          FROM fragment f WHERE f.message_id = m.id) AS fragments
      FROM message m WHERE m.conversation_id = $1 ORDER BY m.position DESC LIMIT 50`,
    values: [decodeId('Conversation', variables.id)],
  });
  return { data: { conversation: { messages: { nodes: rows.reverse() } } } };
}

const listening = listen(server);

const commands: PlainHttpCommands = {
  address: async () => ({ url: await listening }),
  usage,
};
obey(commands, async () => {
  server.closeAllConnections();
  server.close();
  await pool.end();
});
