import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './bench.ts';
import type { Program } from './process.ts';
import type { ClientCommands, Received, Transport } from './programs/clients.ts';
import type { Spot } from './programs/profiler.ts';
import type { Pace, ServerCommands, SourceCommands } from './programs/server.ts';
import type { Usage } from './programs/usage.ts';
import type { Script } from './words.ts';

/** What was seen of replies in mid-air. */
export interface Seen extends Received {
  /** What was spoken, for each subscriber that heard it. */
  tokens: number;
  /** At what pace each reply went on. */
  perSecond: number;
  /** What the server took, in microseconds. */
  cpu: number;
}

/** A new pace is given this long to become steady, in milliseconds. */
const LEAD_MS = 300;

interface SideOptions {
  env?: Record<string, string>;
  /** How the subscribers follow. Default: by WebSocket. */
  transport?: Transport;
  /** The server that generates the replies, if it is another than the one that they are followed on. */
  generator?: Program<ServerCommands>;
  /** The server that they are followed on. Left out: one that is started for it. */
  followed?: Program<ServerCommands>;
  /** Whose words the replies are, which come at its pace. Left out: the server that generates them. */
  source?: Program<SourceCommands>;
}

/** A server and its subscribers, each in a process of its own. */
export class Side {
  /** The server that generates the replies. */
  readonly server: Program<ServerCommands>;
  private readonly followed: Program<ServerCommands>;
  private readonly source: Program<SourceCommands> | null;
  private readonly clients: Program<ClientCommands>;
  /** Those that are followed now. */
  conversationIds: readonly string[] = [];
  private subscribersEach = 0;
  private stamped = false;

  private readonly transport: Transport;

  constructor(
    bench: Bench,
    server: 'parley' | 'by-hand' | 'plain-ws' | 'plain-proxy' | 'naive-yoga',
    options: SideOptions = {},
  ) {
    this.transport = options.transport ?? 'WebSocket';
    this.followed = options.followed ?? bench.start(server, options.env);
    this.server = options.generator ?? this.followed;
    this.source = options.source ?? null;
    this.clients = bench.start('clients');
  }

  /** Has so many new conversations followed by so many subscribers each, and by nobody else. */
  async subscribe(conversations: number, subscribersEach: number): Promise<void> {
    await this.clients.call('disconnect', null);
    await this.follow(conversations, subscribersEach);
  }

  /** Has new conversations followed beside those that are. */
  async follow(conversations: number, subscribersEach: number): Promise<void> {
    const address = await this.followed.call('address', null);
    const opened = await this.server.call('open', { conversations });
    this.subscribersEach = subscribersEach;
    this.conversationIds = opened.map(({ conversationId }) => conversationId);
    const places = opened.flatMap((place) => Array.from({ length: subscribersEach }, () => place));
    await this.clients.call('subscribe', { ...address, transport: this.transport, places });
  }

  /** Has a reply begin in each conversation, which stands still once each subscriber has had a delta. */
  async begin({ stamped = false } = {}): Promise<void> {
    this.stamped = stamped;
    await this.speak({ perSecond: 0, stamped });
    await this.clients.call('begun', null);
  }

  /** Has those replies go on for a while. */
  watch(pace: Pace, seconds: number): Promise<Seen> {
    return this.during(pace, async () => {
      await this.clients.call('forget', { stamped: this.stamped });
      const before = await this.usage();
      await sleep(seconds * 1000);
      const after = await this.usage();
      const received = await this.clients.call('received', null);
      const spoken = after.tokens - before.tokens;
      return {
        ...received,
        tokens: spoken * this.subscribersEach,
        perSecond: (spoken * 1000) / (after.at - before.at) / this.conversationIds.length,
        cpu: after.cpu - before.cpu,
      };
    });
  }

  /** As `watch`; returns where the time of the server goes meanwhile, the most first. */
  profile(pace: Pace, seconds: number): Promise<Spot[]> {
    return this.during(pace, async () => {
      await this.server.call('startProfile', null);
      await sleep(seconds * 1000);
      return this.server.call('stopProfile', null);
    });
  }

  /** Ends those replies. */
  async finish(): Promise<void> {
    await (this.source ? this.source.call('finish', null) : this.server.call('finish', null));
    await this.clients.call('ended', null);
  }

  /** Has a whole reply of one token spoken in each conversation; returns the CPU that it took, in microseconds. */
  async reply(): Promise<number> {
    const before = await this.usage();
    await this.speak({ perSecond: 0, tokens: 1 });
    await this.clients.call('ended', null);
    return (await this.usage()).cpu - before.cpu;
  }

  /**
   * Has a whole reply spoken in each conversation by an agent that stamps its deltas without being told to; returns how
   * long the first of them took to each subscriber.
   */
  async firstDelays(): Promise<number[]> {
    await this.speak({ perSecond: 0 }, true);
    await this.clients.call('ended', null);
    const { firstDelays } = await this.clients.call('received', null);
    const missing = this.conversationIds.length * this.subscribersEach - firstDelays.length;
    if (missing > 0) throw new Error(`${missing} subscribers have received a reply without a delta.`);
    return firstDelays;
  }

  /** Throws when a subscription has broken. */
  check(): Promise<void> {
    return this.clients.call('check', null);
  }

  private async speak(script: Script, stamped = false): Promise<void> {
    await this.clients.call('forget', { stamped });
    await this.source?.call('speak', script);
    await this.server.call('reply', { conversationIds: [...this.conversationIds], script });
  }

  private async during<T>(pace: Pace, look: () => Promise<T>): Promise<T> {
    await this.setPace(pace);
    await sleep(LEAD_MS);
    const result = await look();
    await this.setPace({ perSecond: 0 });
    await this.untilQuiet();
    return result;
  }

  /** What is on its way arrives before anything else is measured. */
  private async untilQuiet(): Promise<void> {
    for (let before = -1, count = 0; count !== before;) {
      before = count;
      await sleep(100);
      count = await this.clients.call('count', null);
    }
  }

  private setPace(pace: Pace): Promise<void> {
    return this.source ? this.source.call('setPace', pace) : this.server.call('setPace', pace);
  }

  private async usage(): Promise<Usage> {
    const used = await this.server.call('usage', { collect: false });
    const tokens = await this.source?.call('spoken', null);
    return tokens === undefined ? used : { ...used, tokens };
  }
}

export interface Sides {
  ours: Side;
  limit: Side;
}

/** Parley, and the server that is written by hand. */
export function startSides(bench: Bench, options: SideOptions = {}): Sides {
  return { ours: new Side(bench, 'parley', options), limit: new Side(bench, 'by-hand', options) };
}

/** Does the same on both sides, at once. */
export async function onBoth({ ours, limit }: Sides, what: (side: Side) => Promise<void>): Promise<void> {
  await Promise.all([ours, limit].map(what));
}
