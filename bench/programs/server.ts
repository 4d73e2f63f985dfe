import type { Script } from '../words.ts';
import type { Usage } from './usage.ts';
import type { Spot } from './profiler.ts';

/** A conversation to follow. */
export interface Place {
  conversationId: string;
  /** A cursor before its first event, with which a subscription begins by being told of it. */
  after: string;
}

/** How fast words come, and how many of them at once. */
export interface Pace {
  perSecond: number;
  together?: number;
}

/** What those can be told whose words the replies are. */
export type SourceCommands = {
  /** Has what is begun from now on go so. */
  speak(argument: Script): Promise<void>;
  /** Changes how fast the replies go on that are being spoken; at 0 they stand still. */
  setPace(argument: Pace): Promise<void>;
  /** Has them end. */
  finish(argument: null): Promise<void>;
  /** How many tokens it has spoken. */
  spoken(argument: null): Promise<number>;
};

/** What a server can be told, be it Parley or the one that is written by hand. */
export type ServerCommands = {
  /** Where it listens. */
  address(argument: null): Promise<{ url: string; key: string }>;
  /** Makes new conversations. */
  open(argument: { conversations: number }): Promise<Place[]>;
  /** Begins a reply in each of these conversations. */
  reply(argument: { conversationIds: string[]; script: Script }): Promise<void>;
  /** Changes how fast the replies go on that are being spoken; at 0 they stand still. */
  setPace(argument: Pace): Promise<void>;
  /** Has them end. */
  finish(argument: null): Promise<void>;
  usage(argument: { collect: boolean }): Promise<Usage>;
  startProfile(argument: null): Promise<void>;
  /** Where the time has gone since then, the most first. */
  stopProfile(argument: null): Promise<Spot[]>;
};

/** What a server can be told that only passes on what a model says. */
export type ProxyCommands = Pick<
  ServerCommands,
  'address' | 'open' | 'reply' | 'usage' | 'startProfile' | 'stopProfile'
>;
