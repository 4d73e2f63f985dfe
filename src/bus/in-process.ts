import type { Logger } from '../logger.ts';
import type { Bus } from './hints.ts';
import { Listeners } from './listeners.ts';

/**
 * A bus for servers in one process, mainly for tests.
 * @param options.group Buses of one group receive each other's hints. A bus without a group receives only its own.
 */
export function inProcessBus(options: { logger?: Logger; group?: Set<Listeners> } = {}): Bus {
  const group = options.group ?? new Set();
  const listeners = new Listeners(options.logger);
  let connected = false;
  return {
    connect() {
      group.add(listeners);
      connected = true;
      return Promise.resolve();
    },
    publish(hint) {
      listeners.hint(hint);
      if (!connected) return;
      for (const member of group) if (member !== listeners) member.hint(hint);
    },
    subscribe: (listener) => listeners.add(listener),
    isConnected: () => connected,
    close() {
      connected = false;
      group.delete(listeners);
      listeners.clear();
      return Promise.resolve();
    },
  };
}
