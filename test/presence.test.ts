import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../src/app.ts';
import { inProcessBus } from '../src/bus/in-process.ts';
import { Presences } from '../src/conversations/presence/presences.ts';
import { Room } from '../src/conversations/presence/room.ts';
import { decodeId, newId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { addContact, addOperator, firstOrganization, mintToken } from './harness/access.ts';
import { ask, subscribeWs, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { type Recording, record } from './harness/recording.ts';
import { startServer, useServer } from './harness/server.ts';

const server = useServer();
let elsewhere: App & { key: string };
let organizationId: string;
beforeAll(async () => {
  elsewhere = await startServer(server.databaseUrl);
  organizationId = await firstOrganization(server.services);
});
afterAll(() => elsewhere.close());

interface Participant {
  author: { kind: string; displayName: string | null };
  online: boolean;
  typing: boolean;
  lastSeenAt: string | null;
}
interface Told {
  conversationPresence: { conversationId: string; participants: Participant[] };
}

let conversationId: string;
let person: Target;
beforeEach(async () => {
  const contactId = await addContact(server.services, organizationId);
  conversationId = (await createConversation(server, { contactId, action: 'NONE' })).conversation.id;
  person = { url: server.url, key: await mintToken(server, { contactId }) };
});

const watch = (target: Target, id = conversationId): Recording<Told> =>
  record(
    subscribeWs<Told>(
      target,
      `subscription { conversationPresence(conversationId: "${id}") {
        conversationId participants { author { kind displayName } online typing lastSeenAt }
      } }`,
    ),
  );
const untilSeen = (watching: Recording<Told>, holds: (participants: Participant[]) => boolean) =>
  watching.until((events) => holds(events.at(-1)?.conversationPresence.participants ?? []));
const type = async (target: Target, typing: boolean, more = '') => {
  const { result } = await ask<{ result: { __typename: string } }>(
    target,
    `mutation { result: setTyping(input: { conversationId: "${conversationId}", typing: ${typing} ${more} }) { __typename } }`,
  );
  return result.__typename;
};
const change = (command: string, more = '') =>
  ask(server, `mutation { ${command}(input: { conversationId: "${conversationId}" ${more} }) { __typename } }`);

describe('an operator who watches', () => {
  test('is told on any server who follows, types, stops and leaves', async () => {
    const watching = watch(elsewhere);
    await untilSeen(watching, (all) => all.length === 0);
    const following = record(
      subscribeWs(person, `subscription { conversationEvents(conversationId: "${conversationId}") { cursor } }`),
    );
    await untilSeen(watching, ([robin]) => robin?.online === true);
    await type(person, true);
    await untilSeen(watching, ([robin]) => robin?.typing === true);
    const last = watching.events.at(-1)?.conversationPresence;
    expect(last).toEqual({
      conversationId,
      participants: [
        {
          author: { kind: 'END_USER', displayName: 'Robin' },
          online: true,
          typing: true,
          lastSeenAt: expect.any(String),
        },
      ],
    });
    await type(person, false);
    await untilSeen(watching, ([robin]) => robin?.typing === false);
    await following.leave();
    await untilSeen(watching, ([robin]) => robin?.online === false);
    await watching.leave();
  });

  test('is told of those who were there before', async () => {
    const following = record(
      subscribeWs(
        person,
        `subscription { conversationPresence(conversationId: "${conversationId}") { conversationId } }`,
      ),
    );
    await following.until((events) => events.length > 0);
    const watching = watch(elsewhere);
    await untilSeen(watching, ([robin]) => robin?.online === true);
    await Promise.all([watching.leave(), following.leave()]);
  });

  test('who leaves one of two servers is still there', async () => {
    const watching = watch(server);
    const query = `subscription { conversationPresence(conversationId: "${conversationId}") { conversationId } }`;
    const [here, there] = [
      record(subscribeWs(person, query)),
      record(subscribeWs({ url: elsewhere.url, key: person.key }, query)),
    ];
    await Promise.all([here, there].map((each) => each.until((events) => events.length > 0)));
    await untilSeen(watching, ([robin]) => robin?.online === true);
    await here.leave();
    await type(person, true);
    await untilSeen(watching, ([robin]) => robin?.typing === true && robin.online);
    await there.leave();
    await untilSeen(watching, ([robin]) => robin?.online === false);
    await watching.leave();
  });

  test('is told no more of a conversation that is deleted', async () => {
    const watching = watch(server);
    await watching.until((events) => events.length > 0);
    await change('deleteConversation');
    await watching.ended();
  });
});

test('an end user is told of who has the handoff, and of nobody else', async () => {
  const kim = 'author: { displayName: "Kim" }';
  const alex = 'author: { displayName: "Alex" }';
  const [watching, byOperator] = [watch(person), watch(server)];
  await Promise.all([watching, byOperator].map((each) => each.until((events) => events.length > 0)));
  await type(server, true, kim);
  await untilSeen(byOperator, (all) => all.some(({ author }) => author.displayName === 'Kim'));
  await change('startHandoff');
  await change('acceptHandoff', ', assignee: "Kim"');
  await untilSeen(watching, ([first]) => first?.typing === true);
  await type(server, true, alex);
  await untilSeen(byOperator, (all) => all.some(({ author }) => author.displayName === 'Alex'));
  await type(server, false, kim);
  await untilSeen(watching, ([first]) => first?.typing === false);
  const told = watching.events.flatMap(({ conversationPresence }) => conversationPresence.participants);
  expect(new Set(told.map(({ author }) => author.displayName))).toEqual(new Set(['Kim']));
  expect(new Set(told.map(({ lastSeenAt }) => lastSeenAt))).toEqual(new Set([null]));
  await change('endHandoff');
  await watching.until((events) => events.at(-1)?.conversationPresence.participants.length === 0);
  await Promise.all([watching.leave(), byOperator.leave()]);
});

test('an end user is told, on any server, of the operator who took over, and of no other operator', async () => {
  const there = async (name: string) => ({ url: elsewhere.url, key: (await addOperator(server, { name })).key });
  const [kim, alex] = [await there('Kim'), await there('Alex')];
  const [watching, byOperator] = [watch(person), watch(server)];
  await Promise.all([watching, byOperator].map((each) => each.until((events) => events.length > 0)));
  const alexFollows = watch(alex);
  await untilSeen(byOperator, (all) => all.some(({ author, online }) => author.displayName === 'Alex' && online));
  await ask(kim, `mutation { takeOver(input: { conversationId: "${conversationId}" }) { __typename } }`);
  const kimFollows = watch(kim);
  await untilSeen(watching, ([first]) => first?.online === true);
  await type(alex, true);
  await untilSeen(byOperator, (all) => all.some(({ author, typing }) => author.displayName === 'Alex' && typing));
  await type(kim, true);
  await untilSeen(watching, ([first]) => first?.typing === true);
  await type(kim, false);
  await kimFollows.leave();
  await untilSeen(watching, ([first]) => first?.typing === false && !first.online);
  const told = watching.events.flatMap(({ conversationPresence }) => conversationPresence.participants);
  expect(new Set(told.map(({ author }) => `${author.kind} ${author.displayName}`))).toEqual(
    new Set(['HUMAN_AGENT Kim']),
  );
  await Promise.all([watching, byOperator, alexFollows].map((each) => each.leave()));
});

test('an end user is told of the human behind a key, not of an operator of the same name', async () => {
  const { target: namesake } = await addOperator(server, { name: 'Kim' });
  await change('startHandoff');
  await change('acceptHandoff', ', assignee: "Kim"');
  const watching = watch(person);
  await watching.until((events) => events.length > 0);
  await type(namesake, true);
  const kim = ', author: { displayName: "Kim" }';
  await type(server, true, kim);
  await untilSeen(watching, (all) => all.length === 1 && all[0]?.typing === true);
  await type(server, false, kim);
  await untilSeen(watching, (all) => all.length === 1 && all[0]?.typing === false);
  await watching.leave();
});

test('who may not see a conversation can neither type in it nor watch it', async () => {
  const contactId = await addContact(server.services, organizationId);
  const stranger = { url: server.url, key: await mintToken(server, { contactId }) };
  const watching = watch(server);
  await watching.until((events) => events.length > 0);
  expect(await type(stranger, true)).toBe('NotFoundError');
  await expect(watch(stranger).ended()).rejects.toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
  await type(person, true);
  await untilSeen(watching, ([robin]) => robin?.typing === true);
  expect(watching.events.at(-1)?.conversationPresence.participants).toHaveLength(1);
  await watching.leave();
});

test('a key says for whom it types, and a person does not', async () => {
  expect(await type(server, true)).toBe('InvalidInputError');
  expect(await type(person, true, 'author: { displayName: "The boss" }')).toBe('InvalidInputError');
});

test('nothing is written, and the version stays', async () => {
  const state = async () => {
    const { rows } = await server.services.pool.query<object>(
      `SELECT version, updated_at, xmin::text, (SELECT count(*) FROM event WHERE conversation_id = c.id) AS events
        FROM conversation c WHERE id = $1`,
      [decodeId('Conversation', conversationId)],
    );
    return rows[0];
  };
  const before = await state();
  const watching = watch(server);
  await watching.until((events) => events.length > 0);
  await type(person, true);
  await untilSeen(watching, ([robin]) => robin?.typing === true);
  expect(await state()).toEqual(before);
  await watching.leave();
});

describe('without the network', () => {
  const logger = createLogger({ level: 'silent' });
  const times = { onlineMs: 150, typingMs: 60, askMs: 40 };
  const robin = { id: 'contact:1', author: { kind: 'END_USER', displayName: 'Robin' } as const };

  test('typing and being there end by themselves', async () => {
    const bus = inProcessBus({ logger });
    const presences = new Presences(server.services.pool, bus, logger, times);
    const id = decodeId('Conversation', conversationId) ?? '';
    const abort = new AbortController();
    const watching = presences.watch(id, 'OPERATORS', abort.signal);
    await watching.next();
    presences.type(id, robin, true);
    const seen: string[] = [];
    while (seen.at(-1) !== 'false false') {
      const { value } = await watching.next();
      seen.push(...(value?.participants ?? []).map(({ online, typing }) => `${online} ${typing}`));
    }
    expect(seen).toEqual(['true true', 'true false', 'false false']);
    abort.abort();
    expect((await watching.next()).done).toBe(true);
    presences.close();
    await bus.close();
  });

  test('that somebody goes on typing is not told on each time', async () => {
    const bus = inProcessBus({ logger });
    const presences = new Presences(server.services.pool, bus, logger);
    const told: boolean[] = [];
    bus.subscribe({
      onHint: (hint) => hint.kind === 'present' && hint.typing !== undefined && told.push(hint.typing),
      onReconnect: () => undefined,
    });
    for (let n = 0; n < 100; n += 1) presences.type('a conversation', robin, true);
    presences.type('a conversation', robin, false);
    expect(told).toEqual([true, false]);
    presences.close();
    await bus.close();
  });

  test('no more than a hundred are told of, and those who left make room', async () => {
    const room = new Room(newId(), { onlineMs: 60_000, typingMs: 60_000 });
    const shown = new Promise<void>((resolve) =>
      room.watchers.add(() => {
        if (room.presenceFor('OPERATORS').participants.some(({ typing }) => typing)) resolve();
      }),
    );
    for (let n = 0; n < 150; n += 1) room.see({ ...robin, id: `contact:${n}` }, false);
    room.lose('contact:7');
    room.see({ id: 'contact:151', author: { kind: 'END_USER', displayName: 'Late' } }, true);
    await shown;
    room.close();
    const { participants } = room.presenceFor('OPERATORS');
    expect(participants).toHaveLength(100);
    expect(participants.filter(({ typing }) => typing)).toHaveLength(1);
  });
});
