import { beforeAll, describe, expect, test } from 'vitest';
import { mintToken } from './harness/access.ts';
import { ask, subscribeSse, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { record } from './harness/recording.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime], config: { rateLimitPerContact: 0 } });

let agentId: string;

beforeAll(async () => {
  agentId = await createAgent(server.services, 'scripted');
});

const fragments = `fragments {
  __typename index metadata
  ... on TextFragment { text }
  ... on FunctionCallFragment { name args }
  ... on FunctionResponseFragment { name response failed }
}`;

const call = (name: string, visibility: string | null, index: number): object[] => {
  const said = visibility === 'FULL' ? { secret: name } : null;
  return [
    { __typename: 'FunctionCallFragment', index, name, args: said },
    { __typename: 'FunctionResponseFragment', index: index + 1, name, response: said, failed: false },
  ];
};

/** What is seen of calls of each visibility, in this order, and a text after them. */
const forOperators = [
  ...call('unsaid', 'FULL', 0),
  ...call('hidden', 'FULL', 2),
  ...call('named', 'FULL', 4),
  ...call('full', 'FULL', 6),
  { __typename: 'TextFragment', index: 8, text: 'Done.' },
];
const forEndUsers = [...call('named', 'NAME', 4), ...call('full', 'FULL', 6), ...forOperators.slice(-1)];

async function conversationWithToken() {
  const { conversation, cursor } = await createConversation(server, { agentId, action: 'NONE' });
  const token = await mintToken(server, { conversationId: conversation.id });
  return { id: conversation.id, after: cursor, endUser: { url: server.url, key: token } };
}

interface Shown {
  message?: { fragments?: { index: number }[] };
  fragment?: { __typename: string; index: number };
}

/** What a reply shows of calls of each visibility, to somebody who reads and follows it in every way. */
async function replyWithCalls(text: string) {
  const { id, after, endUser } = await conversationWithToken();
  const streams = [server, endUser].flatMap((who: Target) =>
    [subscribeWs, subscribeSse].map((subscribe) => ({
      who,
      following: record(
        subscribe<{ event: { __typename: string } & Shown }>(
          who,
          `subscription ($id: ID!, $after: EventCursor) {
            event: conversationEvents(conversationId: $id, after: $after) {
              __typename
              ... on FragmentStarted { fragment { __typename index } }
              ... on FragmentCompleted { fragment { __typename index ... on FunctionCallFragment { name args }
                ... on FunctionResponseFragment { name response failed } ... on TextFragment { text } } }
              ... on MessageCompleted { message { ${fragments} } }
            }
          }`,
          { id, after },
        ),
      ),
    })),
  );
  const [script] = await Promise.all([runtime.replyTo(text), send(server, { conversationId: id, content: { text } })]);
  for (const [name, visibility] of [['unsaid'], ['hidden', 'HIDDEN'], ['named', 'NAME'], ['full', 'FULL']] as const) {
    const secret = { secret: name };
    await script.say(
      { type: 'tool-call', callId: name, name, args: secret, ...(visibility && { visibility }) },
      { type: 'tool-result', callId: name, response: secret, failed: false },
    );
  }
  await script.begin('Done.');
  await script.end();
  const seen = await Promise.all(
    streams.map(async ({ who, following }) => {
      const events = await following.until((all) => all.some(({ event }) => event.__typename === 'MessageCompleted'));
      await following.leave();
      return { who, events: events.map(({ event }) => event) };
    }),
  );
  return { id, endUser, seen };
}

describe('what an end user sees of a function call', () => {
  test('is what its visibility says, in history and in streams; operators see all', async () => {
    const { id, endUser, seen } = await replyWithCalls('Call everything.');
    for (const who of [server, endUser]) {
      const expected = who === endUser ? forEndUsers : forOperators;
      const { conversation } = await ask<{ conversation: { messages: { nodes: object[] } } }>(
        who,
        `query ($id: ID!) { conversation(id: $id) { messages(last: 1) { nodes { text ${fragments} } } } }`,
        { id },
      );
      expect(conversation.messages.nodes).toMatchObject([{ text: 'Done.', fragments: expected }]);
    }
    expect(seen).toHaveLength(4);
    for (const { who, events } of seen) {
      const expected = who === endUser ? forEndUsers : forOperators;
      const of = (name: string) => events.filter(({ __typename }) => __typename === name);
      expect(of('FragmentCompleted').map(({ fragment }) => fragment)).toMatchObject(expected);
      expect(of('FragmentStarted').map(({ fragment }) => fragment?.index)).toEqual(
        who === endUser ? [4, 5, 6, 7, 8] : [0, 1, 2, 3, 4, 5, 6, 7, 8],
      );
      expect(of('MessageCompleted')).toMatchObject([{ message: { fragments: expected } }]);
      expect(of('MessageCompleted')[0]?.message?.fragments).toHaveLength(expected.length);
      for (const name of who === endUser ? ['unsaid', 'hidden'] : [])
        expect(JSON.stringify(events)).not.toContain(name);
    }
  });

  test('is decided for calls that operators give, too', async () => {
    const { id, endUser } = await conversationWithToken();
    const given = (name: string, visibility: string | null, callIndex: number) => [
      { functionCall: { name, args: { secret: name }, metadata: { secret: name }, ...(visibility && { visibility }) } },
      { functionResponse: { name, callIndex, response: { secret: name }, metadata: { secret: name } } },
    ];
    const withMetadata = (name: string, visibility: string | null, index: number) =>
      call(name, visibility, index).map((fragment) => ({
        ...fragment,
        metadata: visibility === 'FULL' ? { secret: name } : {},
      }));
    const content = {
      fragments: [
        ...given('hidden', 'HIDDEN', 0),
        ...given('named', 'NAME', 2),
        ...given('unsaid', null, 4),
        ...given('full', 'FULL', 6),
      ],
    };
    const { result } = await ask<{ result: unknown }>(
      server,
      `mutation ($input: AddAgentMessageInput!) {
        result: addAgentMessage(input: $input) { ... on AddAgentMessagePayload { message { ${fragments} } } }
      }`,
      { input: { conversationId: id, content } },
    );
    const all = ['hidden', 'named', 'unsaid', 'full'].flatMap((name, i) => withMetadata(name, 'FULL', 2 * i));
    expect(result).toMatchObject({ message: { fragments: all } });
    const shown = await ask<{ conversation: { lastMessage: { fragments: object[] } } }>(
      endUser,
      `query ($id: ID!) { conversation(id: $id) { lastMessage { ${fragments} } } }`,
      { id },
    );
    const expected = [
      ...withMetadata('named', 'NAME', 2),
      ...withMetadata('unsaid', 'NAME', 4),
      ...withMetadata('full', 'FULL', 6),
    ];
    expect(shown.conversation.lastMessage.fragments).toEqual(expected);
  });

  test('never includes citations that somebody has given', async () => {
    const { id } = await conversationWithToken();
    const citations = [{ title: 'Free money', url: 'javascript:alert(1)' }];
    const document = `mutation ($input: AddAgentMessageInput!) {
      result: addAgentMessage(input: $input) { __typename ... on InvalidInputError { issues { path code } } }
    }`;
    for (const [more, path] of [
      [{ metadata: { citations } }, ['metadata', 'citations']],
      [
        { content: { fragments: [{ text: { text: 'Hi', metadata: { citations } } }] } },
        ['content', 'fragments', '0', 'text', 'metadata', 'citations'],
      ],
    ] as const) {
      const input = { conversationId: id, content: { text: 'Hi' }, ...more };
      expect(await ask(server, document, { input })).toEqual({
        result: { __typename: 'InvalidInputError', issues: [{ path, code: 'NOT_ALLOWED' }] },
      });
    }
  });
});

test('a control message reaches no end user while an operator follows the same conversation', async () => {
  const { id, after, endUser } = await conversationWithToken();
  const follow = (who: Target) =>
    record(
      subscribeWs<{ event: { __typename: string; message?: { text: string; inReplyTo: object | null } } }>(
        who,
        `subscription ($id: ID!, $after: EventCursor) {
          event: conversationEvents(conversationId: $id, after: $after) {
            __typename ... on MessageCreated { message { text inReplyTo { text } } }
          }
        }`,
        { id, after },
      ),
    );
  const followers = [server, endUser, server, endUser].map((who) => ({ who, following: follow(who) }));
  const rounds = 10;
  for (let round = 0; round < rounds; round += 1) {
    const { control } = await ask<{ control: { message: { id: string } } }>(
      server,
      `mutation ($id: ID!) {
        control: sendControl(input: { conversationId: $id, content: { text: "Whisper" } }) {
          ... on SendControlPayload { message { id } }
        }
      }`,
      { id },
    );
    await ask(server, `mutation ($input: AddAgentMessageInput!) { addAgentMessage(input: $input) { __typename } }`, {
      input: { conversationId: id, content: { text: `Answer ${round}` }, inReplyToId: control.message.id },
    });
    // All are at the same event, and are shown the same rows of it where rows are shared.
    await Promise.all(
      followers.map(({ following }) =>
        following.until((events) => events.some(({ event }) => event.message?.text === `Answer ${round}`)),
      ),
    );
  }
  for (const { who, following } of followers) {
    await following.leave();
    const answers = following.events.filter(({ event }) => event.message?.text.startsWith('Answer'));
    const asked = who === endUser ? null : { text: 'Whisper' };
    expect(answers.map(({ event }) => event.message?.inReplyTo)).toEqual(Array<unknown>(rounds).fill(asked));
    if (who === endUser) expect(JSON.stringify(following.events)).not.toContain('Whisper');
  }
});
