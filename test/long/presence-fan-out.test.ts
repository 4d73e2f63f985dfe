import { expect, test } from 'vitest';
import { decodeId } from '../../src/ids.ts';
import { openSocket, subscribeWs } from '../harness/client.ts';
import { createConversation } from '../harness/commands.ts';
import { addAgent } from '../harness/products.ts';
import { type Recording, record } from '../harness/recording.ts';
import { ScriptedRuntime } from '../harness/scripted-runtime.ts';
import { useServer } from '../harness/server.ts';

const FOLLOWERS = 200;
const ROUNDS = 11;

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime], config: { maxConnectionsPerViewer: 1000 } });

// On its own, this file prints how long it takes until all are told, of typing and of a piece of a reply.
test('two hundred who follow one conversation are all told who types', async () => {
  const { presences, pool } = server.services;
  const agentId = await addAgent(server.services, { runtime: 'scripted' });
  const { conversation } = await createConversation(server, { agentId, message: { content: { text: 'Tell me.' } } });
  const script = await runtime.replyTo('Tell me.');
  await script.begin('Once ');
  const id = decodeId('Conversation', conversation.id) ?? '';
  const version = async () =>
    (await pool.query<object>('SELECT version, xmin::text FROM conversation WHERE id = $1', [id])).rows[0];
  const before = await version();

  const sockets = Array.from({ length: FOLLOWERS }, () => openSocket(server));
  const until = (all: Recording<unknown>[], text: string) =>
    Promise.all(all.map((each) => each.until((events) => JSON.stringify(events.at(-1) ?? '').includes(text))));
  /** A few at a time, so that each of them is there soon. */
  const followAll = async (query: string, first: string): Promise<Recording<unknown>[]> => {
    const all: Recording<unknown>[] = [];
    while (all.length < FOLLOWERS) {
      const more = sockets
        .slice(all.length, all.length + 20)
        .map((socket) => record(subscribeWs(server, `subscription { ${query} }`, {}, { socket })));
      await until(more, first);
      all.push(...more);
    }
    return all;
  };
  const ofConversation = `(conversationId: "${conversation.id}")`;
  const texts = await followAll(`conversationEvents${ofConversation} { ... on FragmentDelta { text } }`, 'Once');
  const people = await followAll(
    `conversationPresence${ofConversation} { participants { author { displayName } typing } }`,
    'participants',
  );

  const took = { delta: [] as number[], typing: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    let begun = performance.now();
    await Promise.all([script.write(`word${round} `), until(texts, `word${round} `)]);
    took.delta.push(performance.now() - begun);
    begun = performance.now();
    const author = { kind: 'HUMAN_AGENT', displayName: `Kim ${round}.` } as const;
    presences.type(id, { id: `key:1 ${round}`, author }, true);
    await until(people, author.displayName);
    took.typing.push(performance.now() - begun);
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]?.toFixed(1);
  console.log(
    `${FOLLOWERS} followers, median of ${ROUNDS} in ms until all are told: a delta ${median(took.delta)}, typing ${median(took.typing)}.`,
  );
  expect(await version()).toEqual(before);
  await Promise.all([...texts, ...people].map((each) => each.leave()));
  for (const socket of sockets) await socket.dispose();
});
