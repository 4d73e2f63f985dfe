// The limit for the memory of subscriptions: graphql-ws on ws, which holds each of them and tells it nothing after its first event.
import { createServer } from 'node:http';
import { buildSchema, type ExecutionResult, parse } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { listen } from '../listen.ts';
import { obey } from '../process.ts';
import { plainCommands } from './plain-commands.ts';

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

obey(plainCommands(listen(server)));
