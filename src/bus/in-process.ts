import type { Logger } from '../logger.ts';
import type { Bus, Hint } from './hints.ts';
import { Listeners } from './listeners.ts';
import { Memberships } from './memberships.ts';
import { type Topic, topicsOf } from './topics.ts';

/** One of the buses that hear each other. */
export interface Member {
  listeners: Listeners;
  has(topic: Topic): boolean;
}

/**
 * A bus for servers in one process, mainly for tests.
 * @param options.group Buses of one group receive each other's hints. A bus without a group receives only its own.
 */
export function inProcessBus(options: { logger?: Logger; group?: Set<Member> } = {}): Bus {
  const group = options.group ?? new Set();
  const listeners = new Listeners(options.logger);
  const memberships = new Memberships<Topic>();
  const own: Member = { listeners, has: (topic) => topic === 'control' || memberships.has(topic) };
  let connected = false;
  const tellOthers = (hint: Hint) => {
    const topics = topicsOf(hint);
    for (const member of group) {
      if (member !== own && topics.some((topic) => member.has(topic))) member.listeners.hint(hint);
    }
  };
  return {
    connect() {
      group.add(own);
      connected = true;
      return Promise.resolve();
    },
    publish(hint, reach = 'EVERYWHERE') {
      if (reach !== 'ELSEWHERE') listeners.hint(hint);
      if (reach !== 'HERE' && connected) tellOthers(hint);
    },
    join: (topic) => memberships.add(topic, { begin: () => Promise.resolve(), end: () => undefined }),
    subscribe: (listener) => listeners.add(listener),
    isConnected: () => connected,
    close() {
      connected = false;
      group.delete(own);
      listeners.clear();
      return Promise.resolve();
    },
  };
}
