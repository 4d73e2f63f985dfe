// The limit for the memory of subscriptions: graphql-ws on ws, which holds each of them and tells it nothing after its first event.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { buildSchema, type ExecutionResult, parse } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { encodeId, newId } from '../../src/ids.ts';
import { obey } from '../process.ts';
import type { ServerCommands } from './server.ts';
import { usage } from './usage.ts';

const schema = buildSchema('type Query { event: String } type Subscription { event: String }');
const document = parse('subscription { event }');

/** The first event, and no other. */
async function* subscribe(): AsyncGenerator<ExecutionResult> {
  yield { data: { event: 'the first' } };
  await new Promise<never>(() => undefined);
}

const server = createServer();
const sockets = new WebSocketServer({ server, path: '/graphql' });
useServer({ onSubscribe: () => ({ schema, document }), subscribe }, sockets, 60_000);

const listening = new Promise<string>((resolve, reject) => {
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (address !== null && typeof address === 'object') resolve(`http://127.0.0.1:${address.port}`);
    else reject(new Error('The server listens at no port.'));
  });
});

const commands: Pick<ServerCommands, 'address' | 'open' | 'usage'> = {
  address: async () => ({ url: await listening, key: randomUUID() }),
  open: ({ conversations }) =>
    Promise.resolve(
      Array.from({ length: conversations }, () => ({ conversationId: encodeId('Conversation', newId()), after: '' })),
    ),
  usage,
};
obey(commands);
