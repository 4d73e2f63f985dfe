import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { applyEvent, type ConversationView, emptyView, textOf } from '../../client/fold.ts';
import { followReply } from '../../client/follow.ts';
import { Api } from './api.ts';
import type { OwnServer } from './own-server.ts';
import { showPeople } from './people.ts';
import { ReplyPrinter } from './reply-printer.ts';
import type { Terminal } from './terminal.ts';

/** Shows, one after the other, what Parley promises, and checks what it shows. Throws when something is not so. */
export async function tour(terminal: Terminal, server: OwnServer, signal: AbortSignal): Promise<void> {
  const api = new Api(server, signal);
  const clients: Client[] = [];
  try {
    const first = await ask();
    await collide(first.conversation);
    await resume(first.conversation.id);
    const as = (key: string | null) => new Api({ url: server.url, key }, signal);
    await showPeople(terminal, { as, connect, key: server.key }, signal);
  } finally {
    for (const client of clients) await client.dispose();
  }

  async function ask() {
    terminal.heading('1. Ask, and watch the answer come');
    terminal.say('The first message starts a conversation. The reply streams in, one typed fragment after the other.');
    const text = 'What is Parley for?';
    terminal.operation(`createConversation(message: "${text}")`);
    const created = await api.createConversation({ message: { content: { text } } });
    const view = await watch(connect(), created.reply.id, () => false);
    expect(view.messages[0]?.status === 'DONE', 'the reply was not completed');
    terminal.blank();
    terminal.say(`The reply is DONE, the conversation is at version ${view.version ?? 0}.`);
    return { ...created, conversation: { ...created.conversation, version: view.version ?? 0 } };
  }

  async function collide(conversation: { id: string; version: number }): Promise<void> {
    terminal.heading('2. Write while the agent writes');
    terminal.say(
      'An agent gives one reply at a time. A message sent meanwhile is refused, and told what is in the way.',
    );
    const text = 'What happens when two people write at once?';
    terminal.operation(`sendMessage("${text}")`);
    const sent = await send({ conversationId: conversation.id, text, wordsPerSecond: 15 });
    const seen = textIn(await watch(connect(), sent.reply.id, (view) => textIn(view).length > 110));
    terminal.operation('sendMessage("And what is a handoff?")');
    const busy = await api.sendMessage({
      conversationId: conversation.id,
      content: { text: 'And what is a handoff?' },
    });
    expect(busy.__typename === 'ConversationBusyError', 'a second message was not refused');
    terminal.row('failure', busy.__typename);
    terminal.row('detail', busy.detail);
    terminal.row('running', busy.runningReply.id);

    terminal.heading('3. Stop the reply half-way');
    terminal.say('Exactly this reply stops, on whichever server it runs. What it has said is kept.');
    terminal.operation(`stopReply(${sent.reply.id})`);
    const { reply } = await api.stopReply(sent.reply.id);
    expect(reply.status === 'STOPPED' && reply.text.startsWith(seen), 'the text that was seen is not kept');
    terminal.row('status', reply.status);
    terminal.row('kept', `${reply.text.length} characters: … ${reply.text.slice(-60).replace(/^\S*\s+/, '')}`);

    terminal.heading('4. Write only if nobody else has');
    terminal.say(
      `Since version ${conversation.version} the conversation has moved on. A message for that version is refused.`,
    );
    terminal.operation(`sendMessage("Thanks!", expectedVersion: ${conversation.version})`);
    const stale = await api.sendMessage({
      conversationId: conversation.id,
      content: { text: 'Thanks!' },
      expectedVersion: conversation.version,
    });
    expect(stale.__typename === 'VersionConflictError', 'a stale version was not refused');
    terminal.row('failure', stale.__typename);
    terminal.row('detail', stale.detail);
    terminal.row('versions', `expected ${stale.expectedVersion}, current ${stale.currentVersion}; nothing was written`);
  }

  async function resume(conversationId: string): Promise<void> {
    terminal.heading('5. Lose the connection, and resume');
    terminal.say('A client that goes away stops nothing. It comes back with its last cursor and has missed nothing.');
    const text = 'Does closing the window stop the answer?';
    terminal.operation(`sendMessage("${text}")`);
    const { reply } = await send({ conversationId, text, wordsPerSecond: 12 });
    const broken = connect();
    const before = await watch(broken, reply.id, (view) => textIn(view).length > 120);
    broken.terminate();
    terminal.blank();
    terminal.say(`The socket is cut after ${textIn(before).length} characters. The agent goes on; we wait a second.`);
    await sleep(1000, undefined, { signal });
    terminal.operation(`replyEvents(${reply.id}, after: "${before.cursor ?? ''}") on a second connection`);
    const view = await watch(connect(), reply.id, () => false, before);
    const stored = await api.message(reply.id);
    expect(textIn(view) === stored.text, 'the two halves are not the stored text');
    terminal.blank();
    terminal.row('folded', `${textIn(view).length} characters, from the two connections`);
    terminal.row('stored', `${stored.text.length} characters: the same text`);
  }

  async function send({
    text,
    wordsPerSecond,
    ...input
  }: {
    conversationId: string;
    text: string;
    wordsPerSecond: number;
  }) {
    const sent = await api.sendMessage({ ...input, content: { text }, runtimeParameters: { wordsPerSecond } });
    expect(sent.__typename === 'SendMessagePayload', 'a message was refused');
    return sent;
  }

  /** Prints a reply from where a view of it stands until its end, or until the view is enough. */
  async function watch(
    client: Client,
    replyId: string,
    isEnough: (view: ConversationView) => boolean,
    from = emptyView,
  ): Promise<ConversationView> {
    const printer = new ReplyPrinter(terminal);
    let view = from;
    const after = from.cursor === null ? {} : { after: from.cursor };
    for await (const event of followReply(client, { replyId, signal, ...after })) {
      view = applyEvent(view, event);
      printer.take(event);
      if (isEnough(view)) break;
    }
    signal.throwIfAborted();
    printer.end();
    return view;
  }

  function connect(key = server.key): Client {
    const client = createClient({
      url: server.url.replace(/^http/, 'ws'),
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${key}` },
      retryAttempts: 0,
    });
    clients.push(client);
    return client;
  }
}

function textIn({ messages }: ConversationView): string {
  return messages.map(textOf).join('');
}

function expect(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(`This is not as it should be: ${otherwise}.`);
}
