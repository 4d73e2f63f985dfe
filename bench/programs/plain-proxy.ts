// The limit for the replies of a model: a server on ws that writes each token of the model to the socket of whoever follows, and keeps
// nothing.
import { createServer } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { listen } from '../listen.ts';
import { obey } from '../process.ts';
import { readModel } from '../read-model.ts';
import { proxyCommands } from './plain-commands.ts';

interface Subscriber {
  socket: WebSocket;
  /** Of its subscription. */
  id: string;
}

const model = process.env.PARLEY_MODEL_URL ?? '';
const subscribers = new Map<string, Subscriber>();

const server = createServer();
const sockets = new WebSocketServer({ server, path: '/graphql', handleProtocols: () => 'graphql-transport-ws' });
sockets.on('connection', (socket) => {
  socket.on('message', (data: Buffer) => {
    const text = data.toString();
    if (text.includes('"connection_init"')) return socket.send('{"type":"connection_ack"}');
    const [id = '', conversationId = ''] = ['id', 'conversationId'].map(
      (name) => new RegExp(`"${name}":"([^"]*)"`).exec(text)?.[1],
    );
    const subscriber = { socket, id };
    subscribers.set(conversationId, subscriber);
    tell(subscriber, { __typename: 'ConversationCreated' });
  });
});
const listening = listen(server);

function tell({ socket, id }: Subscriber, event: object): void {
  socket.send(JSON.stringify({ id, type: 'next', payload: { data: { event } } }));
}

async function reply(conversationId: string): Promise<void> {
  const subscriber = subscribers.get(conversationId);
  if (!subscriber) throw new Error('Nobody follows.');
  await readModel(model, (text) => tell(subscriber, { __typename: 'FragmentDelta', text }));
  tell(subscriber, { __typename: 'MessageCompleted' });
}

obey(proxyCommands(listening, reply));
