import { endConversation } from '../src/conversations/commands/end.ts';
import { beforeAll, describe, expect, test } from 'vitest';
import { findViewerByKey } from '../src/access/api-keys.ts';
import type { Viewer } from '../src/access/viewer.ts';
import { awaitReply } from '../src/conversations/commands/await-reply.ts';
import { createConversation } from '../src/conversations/commands/create.ts';
import { startHandoff } from '../src/conversations/commands/handoff.ts';
import { sendMessage } from '../src/conversations/commands/send.ts';
import { decodeId, encodeId } from '../src/ids.ts';
import { ask } from './harness/client.ts';
import { readMessage } from './harness/commands.ts';
import { playbook } from './harness/playbooks.ts';
import { addAgent } from './harness/products.ts';
import { type Script, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime] });
let caller: Viewer;
let agentId: string;

beforeAll(async () => {
  agentId = await addAgent(server.services, { runtime: 'scripted', playbooks: [playbook('support', 'closing')] });
  const viewer = await findViewerByKey(server.services.pool, server.key);
  if (!viewer) throw new Error('The server has no first key.');
  caller = viewer;
});

type State = 'idle' | 'running' | 'handedOff' | 'ended';

/** A conversation in a state. Its latest reply has ended, or runs and has said something. */
interface Fixture {
  conversationId: string;
  replyId: string;
  script: Script;
}

type Input = Record<string, unknown>;
type Give = (fixture: Fixture) => [mutation: string, input: Input];

const text = 'Something else.';
const say =
  (mutation: string, more: Input = {}): Give =>
  ({ conversationId }) => [mutation, { conversationId, content: { text }, ...more }];
const on =
  (mutation: string, more: Input = {}): Give =>
  ({ conversationId }) => [mutation, { conversationId, ...more }];
const ofReply =
  (mutation: string, more: Input = {}): Give =>
  ({ replyId }) => [mutation, { replyId, ...more }];

const INTERRUPT = { onBusy: 'INTERRUPT' };
const REPLY = { action: 'GENERATE_REPLY' };
const LOST = { stateAfter: { phase: 'lost' } };

const commands = {
  sendMessage: say('sendMessage'),
  'sendMessage, INTERRUPT': say('sendMessage', INTERRUPT),
  'sendMessage, NONE': say('sendMessage', { action: 'NONE' }),
  'sendMessage, NONE, INTERRUPT': say('sendMessage', { action: 'NONE', ...INTERRUPT }),
  addAgentMessage: say('addAgentMessage'),
  'addAgentMessage, INTERRUPT': say('addAgentMessage', INTERRUPT),
  addNote: say('addNote'),
  sendControl: say('sendControl'),
  'sendControl, INTERRUPT': say('sendControl', INTERRUPT),
  'sendControl, GENERATE_REPLY': say('sendControl', REPLY),
  'sendControl, GENERATE_REPLY, INTERRUPT': say('sendControl', { ...REPLY, ...INTERRUPT }),
  changeState: on('changeState', { stateAfter: { phase: 'closing' } }),
  regenerateReply: ofReply('regenerateReply'),
  stopReply: ofReply('stopReply'),
  rateReply: ofReply('rateReply', { rating: 'DOWN' }),
  startHandoff: on('startHandoff', { reason: 'Asked for a human.' }),
  acceptHandoff: on('acceptHandoff', { assignee: 'Ada' }),
  endHandoff: on('endHandoff'),
  endConversation: on('endConversation'),
  updateConversation: on('updateConversation', { title: 'Another title' }),
  deleteConversation: on('deleteConversation'),
  'no such phase: sendMessage, INTERRUPT': say('sendMessage', { ...INTERRUPT, ...LOST }),
  'no such phase: addAgentMessage': say('addAgentMessage', LOST),
  'no such phase: sendControl, GENERATE_REPLY': say('sendControl', { ...REPLY, ...LOST }),
  'no such phase: changeState': on('changeState', LOST),
} satisfies Record<string, Give>;

type Command = keyof typeof commands;

/** They name a reply, and so need no version. */
const versionless: Command[] = ['stopReply', 'rateReply'];

const Busy = 'ConversationBusyError';
const Ended = 'ConversationEndedError';
const HandedOff = 'HandedOffError';
const NotHandedOff = 'NotHandedOffError';
const Version = 'VersionConflictError';
const Invalid = 'InvalidInputError';

/** A failure; or the state that the command leaves, with the events that it adds to the log. */
const table: Record<Command, Record<State, string>> = {
  sendMessage: {
    idle: 'running: MessageCreated ReplyBegun',
    running: Busy,
    handedOff: 'handedOff: MessageCreated',
    ended: Ended,
  },
  'sendMessage, INTERRUPT': {
    idle: 'running: MessageCreated ReplyBegun',
    running: 'running: ReplyEnded MessageCreated ReplyBegun',
    handedOff: 'handedOff: MessageCreated',
    ended: Ended,
  },
  'sendMessage, NONE': {
    idle: 'idle: MessageCreated',
    running: Busy,
    handedOff: 'handedOff: MessageCreated',
    ended: Ended,
  },
  'sendMessage, NONE, INTERRUPT': {
    idle: 'idle: MessageCreated',
    running: 'idle: ReplyEnded MessageCreated',
    handedOff: 'handedOff: MessageCreated',
    ended: Ended,
  },
  addAgentMessage: {
    idle: 'idle: MessageCreated',
    running: Busy,
    handedOff: 'handedOff: MessageCreated',
    ended: Ended,
  },
  'addAgentMessage, INTERRUPT': {
    idle: 'idle: MessageCreated',
    running: 'idle: ReplyEnded MessageCreated',
    handedOff: 'handedOff: MessageCreated',
    ended: Ended,
  },
  sendControl: {
    idle: 'idle: MessageCreated',
    running: Busy,
    handedOff: 'handedOff: MessageCreated',
    ended: Ended,
  },
  'sendControl, INTERRUPT': {
    idle: 'idle: MessageCreated',
    running: 'idle: ReplyEnded MessageCreated',
    handedOff: 'handedOff: MessageCreated',
    ended: Ended,
  },
  'sendControl, GENERATE_REPLY': {
    idle: 'running: MessageCreated ReplyBegun',
    running: Busy,
    handedOff: HandedOff,
    ended: Ended,
  },
  'sendControl, GENERATE_REPLY, INTERRUPT': {
    idle: 'running: MessageCreated ReplyBegun',
    running: 'running: ReplyEnded MessageCreated ReplyBegun',
    handedOff: HandedOff,
    ended: Ended,
  },
  changeState: {
    idle: 'idle: StateChanged',
    running: Busy,
    handedOff: 'handedOff: StateChanged',
    ended: Ended,
  },
  regenerateReply: {
    idle: 'running: ReplyBegun',
    running: Busy,
    handedOff: HandedOff,
    ended: Ended,
  },
  stopReply: {
    idle: 'idle:',
    running: 'idle: ReplyEnded',
    handedOff: 'handedOff:',
    ended: 'ended:',
  },
  startHandoff: {
    idle: 'handedOff: HandoffStarted',
    running: 'handedOff: ReplyEnded HandoffStarted',
    handedOff: HandedOff,
    ended: Ended,
  },
  addNote: {
    idle: 'idle: MessageCreated',
    running: 'running: MessageCreated',
    handedOff: 'handedOff: MessageCreated',
    ended: 'ended: MessageCreated',
  },
  rateReply: {
    idle: 'idle: FeedbackGiven',
    running: Invalid,
    handedOff: 'handedOff: FeedbackGiven',
    ended: 'ended: FeedbackGiven',
  },
  acceptHandoff: {
    idle: NotHandedOff,
    running: NotHandedOff,
    handedOff: 'handedOff: HandoffAccepted',
    ended: Ended,
  },
  endHandoff: {
    idle: NotHandedOff,
    running: NotHandedOff,
    handedOff: 'idle: HandoffEnded',
    ended: Ended,
  },
  endConversation: {
    idle: 'ended: ConversationEnded',
    running: 'ended: ReplyEnded ConversationEnded',
    handedOff: 'ended: HandoffEnded ConversationEnded',
    ended: 'ended:',
  },
  updateConversation: {
    idle: 'idle: ConversationUpdated',
    running: 'running: ConversationUpdated',
    handedOff: 'handedOff: ConversationUpdated',
    ended: 'ended: ConversationUpdated',
  },
  deleteConversation: {
    idle: 'gone: ConversationDeleted',
    running: 'gone: ConversationDeleted',
    handedOff: 'gone: ConversationDeleted',
    ended: 'gone: ConversationDeleted',
  },
  'no such phase: sendMessage, INTERRUPT': {
    idle: Invalid,
    running: Invalid,
    handedOff: Invalid,
    ended: Ended,
  },
  'no such phase: addAgentMessage': {
    idle: Invalid,
    running: Busy,
    handedOff: Invalid,
    ended: Ended,
  },
  'no such phase: sendControl, GENERATE_REPLY': {
    idle: Invalid,
    running: Busy,
    handedOff: HandedOff,
    ended: Ended,
  },
  'no such phase: changeState': {
    idle: Invalid,
    running: Busy,
    handedOff: Invalid,
    ended: Ended,
  },
};

let count = 0;

/** A conversation in this state, with all that its running reply has said stored. */
async function conversationIn(state: State): Promise<Fixture> {
  const { services } = server;
  const created = await createConversation(services, caller, {
    agentId,
    action: 'NONE',
    awaitReply: false,
    state: { playbook: 'support' },
  });
  const conversationId = encodeId('Conversation', created.conversationId);
  const reply = async () => {
    const text = `Question ${(count += 1)}?`;
    const input = { conversationId, content: { text }, action: 'GENERATE_REPLY', onBusy: 'REJECT' } as const;
    const { replyId } = await sendMessage(services, caller, { ...input, awaitReply: false });
    return { uuid: replyId ?? '', script: await runtime.replyTo(text) };
  };
  let { uuid, script } = await reply();
  await script.begin('An answer.');
  await script.end();
  await awaitReply(services, caller, created.conversationId, uuid);
  if (state === 'running') {
    ({ uuid, script } = await reply());
    await script.begin('Half an');
    const goOn = await services.runner.suspend(uuid);
    goOn();
  }
  if (state === 'handedOff') await startHandoff(services, caller, { conversationId });
  if (state === 'ended') await endConversation(services, caller, { conversationId });
  return { conversationId, replyId: encodeId('Message', uuid), script };
}

/** Gives a command by GraphQL; returns the name of what it came to. */
async function give([mutation, input]: [string, Input], more: Input = {}): Promise<string> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  const { result } = await ask<{ result: { __typename: string } }>(
    server,
    `mutation ($input: ${type}!) { result: ${mutation}(input: $input) { __typename ... on UserError { detail } } }`,
    { input: { ...input, ...more } },
  );
  return result.__typename;
}

interface ConversationRow {
  version: number;
  status: string;
  handoff_id: string | null;
  generating_message_id: string | null;
}

async function readRow(conversationId: string): Promise<ConversationRow | undefined> {
  const { rows } = await server.services.pool.query<ConversationRow>('SELECT * FROM conversation WHERE id = $1', [
    decodeId('Conversation', conversationId),
  ]);
  return rows[0];
}

async function readState(conversationId: string): Promise<string> {
  const row = await readRow(conversationId);
  if (!row) return 'gone';
  const { status, handoff_id: handoff, generating_message_id: reply } = row;
  const known = { 'ACTIVE,false,false': 'idle', 'ACTIVE,false,true': 'running', 'HANDED_OFF,true,false': 'handedOff' };
  const facts = [status, handoff !== null, reply !== null].join();
  return { ...known, 'ENDED,false,false': 'ended' }[facts] ?? `impossible: ${facts}`;
}

/** The log after a version, with the events of replies named apart from those of other messages. */
async function readLog(conversationId: string, after: number): Promise<{ version: number; name: string }[]> {
  const { rows } = await server.services.pool.query<{ version: number; name: string }>(
    `SELECT version, CASE WHEN type = 'MessageCompleted' THEN 'ReplyEnded'
        WHEN type = 'MessageCreated' AND data @> '{"reply": true}' THEN 'ReplyBegun' ELSE type::text END AS name
      FROM event WHERE conversation_id = $1 AND version > $2 ORDER BY version`,
    [decodeId('Conversation', conversationId), after],
  );
  return rows;
}

/** Every row of the conversation and every key, with the transaction that wrote it. */
async function dump(conversationId: string): Promise<unknown> {
  const ofMessages = 'message_id IN (SELECT id FROM message WHERE conversation_id = $1)';
  const sources = {
    conversation: 'id = $1',
    message: 'conversation_id = $1',
    fragment: ofMessages,
    chunk: ofMessages,
    handoff: 'conversation_id = $1',
    event: 'conversation_id = $1',
    idempotency: 'true',
  };
  const columns = Object.entries(sources).map(
    ([name, where]) =>
      `(SELECT jsonb_agg(to_jsonb(t) || jsonb_build_object('xmin', t.xmin::text) ORDER BY t::text)
        FROM ${name} t WHERE ${where}) AS ${name}`,
  );
  const { rows } = await server.services.pool.query<Record<string, unknown>>(`SELECT ${columns.join()}`, [
    decodeId('Conversation', conversationId),
  ]);
  return rows[0];
}

const names = Object.keys(table) as Command[];

describe.each(names)('%s', (command) => {
  test.each(Object.entries(table[command]) as [State, string][])(
    'in a conversation that is %s: %s',
    async (state, cell) => {
      const fixture = await conversationIn(state);
      const { conversationId } = fixture;
      const { version = 0 } = (await readRow(conversationId)) ?? {};
      const before = await dump(conversationId);
      const [mutation, input] = commands[command](fixture);
      const result = await give([
        mutation,
        { ...input, ...(!versionless.includes(command) && { expectedVersion: version }) },
      ]);

      const [after, events] = cell.split(':');
      if (events === undefined) {
        expect(result).toBe(cell);
        expect(await dump(conversationId)).toEqual(before);
        return;
      }
      expect(result).toBe(`${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Payload`);
      expect(await readState(conversationId)).toBe(after);
      const added = events.split(' ').filter(Boolean);
      expect(await readLog(conversationId, version)).toEqual(
        added.map((name, index) => ({ version: version + 1 + index, name })),
      );
      if (after !== 'gone') expect((await readRow(conversationId))?.version).toBe(version + added.length);
      if (added.length === 0) expect(await dump(conversationId)).toEqual(before);
    },
  );
});

describe('a command that fails in two ways', () => {
  const takesKey = names.filter((name) => /^(send|add|regenerate)/.test(name));
  const refusedBy = (error: string, state: State) => names.filter((name) => table[name][state] === error);
  const stale = { expectedVersion: 1 };

  /** The refused command has written nothing. */
  async function expectRefused(fixture: Fixture, command: Command, more: Input, expected: string): Promise<void> {
    const before = await dump(fixture.conversationId);
    expect(await give(commands[command](fixture), more)).toBe(expected);
    expect(await dump(fixture.conversationId)).toEqual(before);
  }

  test.each(takesKey)('is not found before its key is looked at: %s', async (command) => {
    const fixture = await conversationIn('idle');
    const key = { idempotencyKey: `not found ${command}` };
    expect(await give(commands[command](fixture), key)).toMatch(/Payload$/);
    const nowhere = {
      ...fixture,
      conversationId: 'conv_00000000000000000000000000',
      replyId: 'msg_00000000000000000000000000',
    };
    expect(await give(commands[command](nowhere), key)).toBe('NotFoundError');
    await give(commands.deleteConversation(fixture));
    expect(await give(commands[command](fixture), key)).toBe('NotFoundError');
  });

  test.each(takesKey)('repeats its first success, or is told of the mismatch, before all else: %s', async (command) => {
    const fixture = await conversationIn('idle');
    const { version = 0 } = (await readRow(fixture.conversationId)) ?? {};
    const once = { idempotencyKey: `replay ${command}`, expectedVersion: version };
    const other = { ...once, expectedVersion: version + 1 };
    expect(await give(commands[command](fixture), once)).toMatch(/Payload$/);
    const repeat = async () => {
      const before = await dump(fixture.conversationId);
      expect(await give(commands[command](fixture), once)).toMatch(/Payload$/);
      expect(await give(commands[command](fixture), other)).toBe('IdempotencyMismatchError');
      expect(await dump(fixture.conversationId)).toEqual(before);
    };
    // The expected version is stale now, and a reply may be running.
    await repeat();
    await give(commands.startHandoff(fixture));
    await repeat();
    await give(commands.endConversation(fixture));
    await repeat();
  });

  test.each(refusedBy(Ended, 'ended').filter((name) => name !== 'stopReply'))(
    'is told of the end before the version or the handoff: %s',
    async (command) => {
      await expectRefused(await conversationIn('ended'), command, stale, Ended);
    },
  );

  test('ends an ended conversation again, whatever version it expects', async () => {
    const fixture = await conversationIn('ended');
    const before = await dump(fixture.conversationId);
    expect(await give(commands.endConversation(fixture), stale)).toBe('EndConversationPayload');
    expect(await dump(fixture.conversationId)).toEqual(before);
  });

  test.each(refusedBy(Busy, 'running'))('is busy before it has a stale version: %s', async (command) => {
    await expectRefused(await conversationIn('running'), command, stale, Busy);
  });

  test.each(refusedBy(HandedOff, 'handedOff'))('is told of the version before the handoff: %s', async (command) => {
    await expectRefused(await conversationIn('handedOff'), command, stale, Version);
  });

  test.each(refusedBy(NotHandedOff, 'idle'))(
    'is told of the version before the missing handoff: %s',
    async (command) => {
      await expectRefused(await conversationIn('idle'), command, stale, Version);
      await expectRefused(await conversationIn('running'), command, stale, Version);
    },
  );

  test.each(refusedBy(Invalid, 'idle'))('is told of the version before the missing phase: %s', async (command) => {
    await expectRefused(await conversationIn('idle'), command, stale, Version);
  });

  test('is told of the version before the human who has accepted', async () => {
    const fixture = await conversationIn('handedOff');
    await give(commands.acceptHandoff(fixture));
    const another = { assignee: 'Grace' };
    await expectRefused(fixture, 'acceptHandoff', { ...another, ...stale }, Version);
    await expectRefused(fixture, 'acceptHandoff', another, HandedOff);
    expect(await give(commands.acceptHandoff(fixture))).toBe('AcceptHandoffPayload');
  });
});

describe('with an expected version that is stale', () => {
  const interrupting = names.filter((name) =>
    /^(running|idle|handedOff|ended): ReplyEnded ./.test(table[name].running),
  );

  test.each([...interrupting, 'deleteConversation' as const])(
    'a running reply is not interrupted by %s',
    async (command) => {
      const fixture = await conversationIn('running');
      const { conversationId, replyId, script } = fixture;
      const { version = 0 } = (await readRow(conversationId)) ?? {};
      const before = await dump(conversationId);
      for (const expectedVersion of [version - 1, version + 1, 0, -1, 2 ** 31 - 1, -(2 ** 31)]) {
        expect(await give(commands[command](fixture), { expectedVersion })).toBe(Version);
        expect(await dump(conversationId)).toEqual(before);
      }
      await script.write(' answer.');
      await script.end();
      await awaitReply(
        server.services,
        caller,
        decodeId('Conversation', conversationId) ?? '',
        decodeId('Message', replyId) ?? '',
      );
      expect(await readMessage(server, replyId)).toMatchObject({ status: 'DONE', text: 'Half an answer.' });
    },
  );

  test.each(names.filter((name) => !versionless.includes(name) && table[name].idle.includes(': ')))(
    'nothing is done by %s',
    async (command) => {
      const fixture = await conversationIn('idle');
      const before = await dump(fixture.conversationId);
      expect(await give(commands[command](fixture), { expectedVersion: 2 })).toBe(Version);
      expect(await dump(fixture.conversationId)).toEqual(before);
    },
  );
});

test('a reply that has ended is not mistaken for the one that runs: stopping it stops nothing', async () => {
  const ended = await conversationIn('idle');
  const { conversationId, replyId } = ended;
  expect(await give(commands.sendMessage(ended))).toBe('SendMessagePayload');
  const before = await dump(conversationId);
  expect(await give(commands.stopReply({ ...ended, replyId }))).toBe('StopReplyPayload');
  expect(await dump(conversationId)).toEqual(before);
  expect(await readState(conversationId)).toBe('running');
});
