// Parley as it is, with an agent that speaks at a given pace, or by the runtime that BENCH_RUNTIME names.
import type pg from 'pg';
import { findViewerByKey } from '../../src/access/api-keys.ts';
import type { ReplyPart, Runtime } from '../../src/agents/runtime.ts';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { append } from '../../src/conversations/log/append.ts';
import { createConversation } from '../../src/conversations/commands/create.ts';
import { encodeCursor } from '../../src/conversations/stream/cursor.ts';
import { sendMessage } from '../../src/conversations/commands/send.ts';
import { ruleFor } from '../../src/conversations/log/transitions.ts';
import { decodeId, encodeId, newId } from '../../src/ids.ts';
import { createLogger } from '../../src/logger.ts';
import { makeObjectsYoung } from '../../src/young-memory.ts';
import { Metronome, now } from '../clock.ts';
import { obey } from '../process.ts';
import { numberedId, randomNumber, type SendStatement } from '../send-statement.ts';
import { produce, type Script } from '../words.ts';
import { startProfile, stopProfile } from './profiler.ts';
import type { Place, ServerCommands } from './server.ts';
import { countTransactions, transactions } from './transactions.ts';
import { usage } from './usage.ts';

export type ParleyCommands = ServerCommands & {
  /** When, on the clock of the machine in milliseconds, the newest reply of a conversation, which is recorded, had how many characters. */
  produced(argument: { conversationId: string }): Promise<Produced[]>;
  /** Counts the hints that this server handles from now on, and what of them is about these conversations. */
  countHints(argument: { conversationIds: string[] }): Promise<void>;
  hints(argument: null): Promise<HintCount>;
  /** Makes conversations that are numbered from 1; once only. */
  openNumbered(argument: { conversations: number }): Promise<void>;
  /** Sends messages for a time, each in one of those; returns how many a second. */
  send(argument: { conversations: number; connections: number; seconds: number }): Promise<number>;
  /** How many transactions of the database it has begun. */
  transactions(argument: null): Promise<number>;
  /** The statement that does it. */
  statement(argument: null): Promise<SendStatement>;
};

export interface HintCount {
  handled: number;
  /** Those about the conversations that are its own. */
  share: number;
}

interface Produced {
  at: number;
  length: number;
}

const key = 'bench-key-of-the-first-organization';
const questionIn = (conversationId: string) => `Where does ${conversationId} go on?`;

let script: Script = { perSecond: 0 };
/** Of the replies that are being spoken. */
let metronome = new Metronome(0);
/** By question. */
const produced = new Map<string, Produced[]>();

const runtime: Runtime = {
  name: 'paced',
  parametersSchema: { type: 'object' },
  async *reply({ history }): AsyncGenerator<ReplyPart, void, undefined> {
    const said = script;
    const times: Produced[] = [];
    produced.set(history.at(-1)?.text ?? '', times);
    let length = 0;
    yield { type: 'text-start' };
    for await (const index of metronome.beats()) {
      const text = produce(index, said);
      if (said.recorded) times.push({ at: now(), length: (length += text.length) });
      yield { type: 'text-delta', text };
      if (index + 1 === said.tokens) break;
    }
    yield { type: 'text-end' };
    yield { type: 'finish' };
  },
};

let hints: HintCount = { handled: 0, share: 0 };
let ownConversations = new Set<string | null>();

makeObjectsYoung();
countTransactions();
const started = start();

async function start() {
  const config = readConfig({
    ...process.env,
    PORT: '0',
    HOST: '127.0.0.1',
    BOOTSTRAP_API_KEY: key,
    GRACE_SECONDS: '0',
    LOG_LEVEL: 'warn',
    // What would end replies or turn clients away on a machine that is kept busy on purpose.
    LEASE_SECONDS: '60',
    RUNTIME_SILENCE_SECONDS: '3600',
    KEEP_ALIVE_SECONDS: '60',
    MAX_CONNECTIONS_PER_VIEWER: '10000',
    RATE_LIMIT_PER_KEY: process.env.BENCH_RATE_LIMIT ?? '1000000',
    RATE_LIMIT_PER_CONTACT: '1000000',
  });
  const app = await startApp(config, createLogger({ level: config.logLevel }), [runtime]);
  const { services } = app;
  services.bus.subscribe({
    onHint(hint) {
      hints.handled += 1;
      if ('conversationId' in hint && ownConversations.has(hint.conversationId)) hints.share += 1;
    },
    onReconnect: () => undefined,
  });
  const caller = await findViewerByKey(services.pool, key);
  if (!caller) throw new Error('The database of the bench is not empty.');
  const { organizationId } = caller;
  const data = { id: newId(), organizationId, name: 'Bench', runtime: process.env.BENCH_RUNTIME ?? runtime.name };
  const agent = await services.prisma.agent.create({ data });
  return { app, services, caller, agentId: encodeId('Agent', agent.id) };
}

async function open(id = newId()): Promise<Place> {
  const { services, caller, agentId } = await started;
  const own = { ...services, newId: () => id };
  await createConversation(own, caller, { agentId, action: 'NONE', awaitReply: false });
  return { conversationId: encodeId('Conversation', id), after: encodeCursor(id, { version: 0, running: null }) };
}

async function send(conversationId: string, action: 'GENERATE_REPLY' | 'NONE'): Promise<void> {
  const { services, caller } = await started;
  const content = { text: questionIn(conversationId) };
  const input = { conversationId, content, action, awaitReply: false, onBusy: 'REJECT' } as const;
  await sendMessage(services, caller, input);
}

const commands: ParleyCommands = {
  async address() {
    const { app } = await started;
    return { url: app.url, key };
  },
  open: ({ conversations }) => Promise.all(Array.from({ length: conversations }, () => open())),
  async reply(argument) {
    script = argument.script;
    metronome = new Metronome(script.perSecond);
    produced.clear();
    await Promise.all(argument.conversationIds.map((id) => send(id, 'GENERATE_REPLY')));
  },
  setPace({ perSecond, together }) {
    metronome.setPace(perSecond, together);
    return Promise.resolve();
  },
  finish() {
    metronome.end();
    return Promise.resolve();
  },
  usage,
  transactions,
  startProfile,
  stopProfile,
  produced: ({ conversationId }) => Promise.resolve(produced.get(questionIn(conversationId)) ?? []),
  async countHints({ conversationIds }) {
    await started;
    ownConversations = new Set(conversationIds.map((id) => decodeId('Conversation', id)));
    hints = { handled: 0, share: 0 };
  },
  hints: () => Promise.resolve(hints),
  async openNumbered({ conversations }) {
    await Promise.all(Array.from({ length: conversations }, (_, index) => open(numberedId(index + 1))));
  },
  async send({ conversations, connections, seconds }) {
    let count = 0;
    const start = now();
    const deadline = start + seconds * 1000;
    const work = async () => {
      for (; now() < deadline; count += 1) {
        await send(encodeId('Conversation', numberedId(randomNumber(conversations))), 'NONE');
      }
    };
    await Promise.all(Array.from({ length: connections }, work));
    return (count * 1000) / (now() - start);
  },
  async statement() {
    const { caller, services } = await started;
    const [conversationId, messageId] = [numberedId(1), newId()];
    let statement: SendStatement | undefined;
    const recorder = {
      query({ text, values = [] }: pg.QueryConfig<unknown[]>): Promise<never> {
        statement = {
          text,
          values: values.map((value) => (typeof value === 'string' ? value : null)),
          conversationId,
          messageId,
        };
        return Promise.reject(new Error('only recorded'));
      },
    };
    const text = questionIn(encodeId('Conversation', conversationId));
    await append(recorder, {
      conversationId,
      organizationId: caller.organizationId,
      rule: ruleFor('sendMessage', 'REJECT'),
      actor: caller.actor,
      participant: null,
      serverId: services.serverId(),
      message: {
        id: messageId,
        role: 'USER',
        author: null,
        fragments: [{ kind: 'TEXT', text, metadata: {} }],
        metadata: {},
        contentPayload: null,
        queryMetadata: null,
        canvas: null,
      },
    }).catch(() => undefined);
    if (!statement) throw new Error('A message was sent without a statement.');
    return statement;
  },
};
obey(commands, async () => (await started).app.close());
