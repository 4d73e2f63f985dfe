import { randomUUID } from 'node:crypto';
import { encodeId, newId } from '../../src/ids.ts';
import { startProfile, stopProfile } from './profiler.ts';
import type { ProxyCommands, ServerCommands } from './server.ts';
import { usage } from './usage.ts';

/** The commands of a server that keeps nothing: its conversations are names. */
export function plainCommands(listening: Promise<string>): Pick<ServerCommands, 'address' | 'open' | 'usage'> {
  return {
    address: async () => ({ url: await listening, key: randomUUID() }),
    open: ({ conversations }) =>
      Promise.resolve(
        Array.from({ length: conversations }, () => ({ conversationId: encodeId('Conversation', newId()), after: '' })),
      ),
    usage,
  };
}

/** Those of one that passes on what a model says, by `reply`. */
export function proxyCommands(
  listening: Promise<string>,
  reply: (conversationId: string) => Promise<void>,
): ProxyCommands {
  return {
    ...plainCommands(listening),
    reply({ conversationIds }) {
      for (const id of conversationIds) void reply(id);
      return Promise.resolve();
    },
    startProfile,
    stopProfile,
  };
}
