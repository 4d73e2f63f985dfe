import { setMaxListeners } from 'node:events';
import { newId } from '../../src/ids.ts';
import { createConversation, isSent, trySend } from './commands.ts';
import { Deferred } from './deferred.ts';
import type { Fleet, FleetServer } from './fleet.ts';
import type { Follower, Told } from './followers.ts';
import type { Random } from './random.ts';
import { storyOf, type Telling } from './storyteller.ts';

/** A reply that was asked for. */
export interface Asked {
  id: string;
  /** What it says if nothing comes in between. */
  story: string;
  /** Where it may be generated: more than one if an answer got lost. */
  servers: ReadonlySet<FleetServer>;
}

export interface Talking {
  fleet: Fleet;
  /** One that tells stories. */
  agentId: string;
  random: Random;
  followers: readonly Follower[];
  /** How many replies. */
  turns: number;
  /** The last reply is asked for when this has resolved. */
  beforeLast: Promise<unknown>;
  /** Has the running reply, for as long as nobody has heard of its end. */
  running: Set<Asked>;
  signal: AbortSignal;
}

export interface Talk {
  conversationId: string;
  replies: Asked[];
  /** By each follower, from the first reply to the last. */
  told: Map<string, Told>[];
}

/** Has a conversation with a storyteller on any of the servers, each message sent as soon as somebody heard the reply's end. */
export async function talk(options: Talking): Promise<Talk> {
  const { fleet, agentId, random, turns, running, signal } = options;
  // Every follower listens, for as long as it follows.
  setMaxListeners(0, signal);
  const name = newId();
  const telling: Telling = { words: random.between(15, 40), wordsPerSecond: 20 };
  const { conversation, cursor } = await fleet.ask(random, (server) =>
    createConversation(server, { agentId, action: 'NONE', runtimeParameters: { ...telling }, idempotencyKey: name }),
  );
  const conversationId = conversation.id;
  const heard = new Heard();
  const followers = options.followers.map((follow) =>
    follow({
      conversationId,
      after: cursor,
      replies: turns,
      anyServer: () => random.pick(fleet.servers),
      random: random.fork(),
      onEnded: (replyId) => heard.of(replyId).resolve(),
      signal,
    }),
  );

  async function ask(text: string): Promise<Asked> {
    const servers = new Set<FleetServer>();
    const sent = await fleet.ask(random, (server) => {
      servers.add(server);
      return trySend(server, { conversationId, content: { text }, idempotencyKey: text });
    });
    if (!isSent(sent)) throw new Error(`${sent.__typename}: ${sent.detail}`);
    return { id: sent.reply?.id ?? '', story: storyOf(text, telling).join(''), servers };
  }

  async function speak(): Promise<Asked[]> {
    const replies: Asked[] = [];
    for (let turn = 1; turn <= turns; turn += 1) {
      if (turn === turns) await options.beforeLast;
      const reply = await ask(`${name}, turn ${turn}`);
      replies.push(reply);
      running.add(reply);
      await heard.of(reply.id).promise;
      running.delete(reply);
    }
    return replies;
  }

  const [replies, ...told] = await Promise.all([speak(), ...followers]);
  return { conversationId, replies, told };
}

/** Replies of whose end somebody has heard, which may be before it is known which reply it is. */
class Heard {
  private readonly replies = new Map<string, Deferred>();

  of(replyId: string): Deferred {
    const known = this.replies.get(replyId);
    if (known) return known;
    const reply = new Deferred();
    this.replies.set(replyId, reply);
    return reply;
  }
}
