import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import type { ExecutionResult } from 'graphql';
import { parse } from 'graphql';
import { beforeAll, expect, test } from 'vitest';
import { findViewerByKey } from '../src/access/api-keys.ts';
import type { Viewer } from '../src/access/viewer.ts';
import { createContext } from '../src/graphql/context.ts';
import { Groups } from '../src/graphql/delivery/groups.ts';
import { subscribe } from '../src/graphql/delivery/subscribe.ts';
import type { Wire } from '../src/graphql/delivery/wire.ts';
import { schema } from '../src/graphql/schema.ts';
import { conversationEventsQuery } from './harness/events.ts';
import { send } from './harness/commands.ts';
import type { Script } from './harness/scripted-runtime.ts';
import { useScriptedServer } from './harness/scripted-server.ts';

const { server, runtime, idle } = useScriptedServer();
const document = parse(conversationEventsQuery);
const groups = new Groups();
let viewer: Viewer;

beforeAll(async () => {
  const found = await findViewerByKey(server.services.pool, server.key);
  if (!found) throw new Error('The server has no first key.');
  viewer = found;
});

interface Told {
  __typename: string;
  cursor: string;
  offset?: number;
  text?: string;
}

/** A subscriber whose peer reads when it is told to. */
class Peer implements Wire {
  isOpen = true;
  isFull = false;
  readonly events: Told[] = [];
  failure: unknown = null;
  ended = false;
  /** Whether the result was written that was being made when it became full. */
  private late = false;
  private wake: (() => void)[] = [];
  private iterator: AsyncIterator<ExecutionResult> | null = null;

  async join(conversationId: string, after: string): Promise<void> {
    const contextValue = createContext(server.services, viewer, this);
    const results = await subscribe(groups, {
      schema,
      document,
      variableValues: { conversationId, after },
      contextValue,
    });
    if (!(Symbol.asyncIterator in results)) throw new Error(JSON.stringify(results.errors));
    this.iterator = results[Symbol.asyncIterator]();
    this.iterator.next().then(
      () => (this.ended = true),
      (error: unknown) => (this.failure = error),
    );
  }

  write(results: readonly Buffer[]): void {
    if (this.isFull && this.late) throw new Error('written to though it is full');
    this.late = this.isFull;
    for (const result of results) {
      const { data, errors } = JSON.parse(result.toString()) as { data: { event: Told }; errors?: unknown };
      if (errors !== undefined) throw new Error(JSON.stringify(errors));
      this.events.push(data.event);
    }
  }

  drained(): Promise<void> {
    return new Promise((resolve) => this.wake.push(resolve));
  }

  stall(): void {
    this.late &&= this.isFull;
    this.isFull = true;
  }

  read(): void {
    this.isFull = false;
    for (const resolve of this.wake.splice(0)) resolve();
  }

  async leave(): Promise<void> {
    this.isOpen = false;
    this.read();
    await this.iterator?.return?.();
  }

  /** All text of deltas, which must join without a gap and without a repetition. */
  get text(): string {
    let text = '';
    for (const event of this.events) {
      if (event.__typename !== 'FragmentDelta') continue;
      expect(event.offset).toBe(text.length);
      text += event.text ?? '';
    }
    return text;
  }
}

type Step = ['write' | 'join' | 'stall' | 'read' | 'leave' | 'breathe', number];

const steps = fc.array(
  fc.oneof(
    ...(
      [
        ['write', 8],
        ['join', 4],
        ['stall', 3],
        ['read', 3],
        ['leave', 1],
        ['breathe', 6],
      ] as const
    ).map(([what, weight]) => ({
      weight,
      arbitrary: fc.tuple(fc.constant(what), fc.nat(20)),
    })),
  ),
  { minLength: 10, maxLength: 60, size: 'max' },
);

async function act([what, number]: Step, peers: Peer[], script: Script, place: { id: string; after: string }) {
  const peer = peers[number % (peers.length || 1)];
  if (what === 'write') await script.write(`Word ${number} 🌊. `);
  if (what === 'stall') peer?.stall();
  if (what === 'read') peer?.read();
  if (what === 'breathe') for (let i = 0; i < number; i += 1) await setImmediate();
  if (what === 'leave' && peer) await peers.splice(peers.indexOf(peer), 1)[0]?.leave();
  if (what === 'join') {
    const joined = new Peer();
    peers.push(joined);
    await joined.join(place.id, place.after);
  }
}

test('whoever joins, stalls and leaves, each subscriber is told all of the reply, once and in order', async () => {
  let count = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const { id, cursor: after } = await idle();
      const question = `Question ${(count += 1)}?`;
      await send(server, { conversationId: id, content: { text: question } });
      const script = await runtime.replyTo(question);
      await script.begin('It begins. ');
      const peers: Peer[] = [];
      for (const step of history) await act(step, peers, script, { id, after });
      await script.end();
      for (const peer of peers) peer.read();
      const last = ({ events }: Peer) => events.at(-1)?.__typename;
      await expect.poll(() => peers.every((peer) => last(peer) === 'MessageCompleted'), { timeout: 5000 }).toBe(true);
      const kinds = peers.map(({ events }) =>
        events.map(({ __typename }) => __typename).filter((k) => k !== 'FragmentDelta'),
      );
      for (const peer of peers) expect(peer.failure).toBeNull();
      for (const peer of peers) expect(peer.text).toBe(peers[0]?.text);
      for (const kind of kinds) {
        expect(kind).toEqual([
          'MessageCreated',
          'MessageCreated',
          'FragmentStarted',
          'FragmentCompleted',
          'MessageCompleted',
        ]);
      }
      for (const peer of peers) await peer.leave();
      expect(peers.every(({ ended }) => ended)).toBe(true);
    }),
    { seed: 20261129, numRuns: 25, endOnFailure: true },
  );
  await expect.poll(() => server.services.feedRegistry.size).toBe(0);
}, 120_000);
