import type { Caller } from '../../access/caller.ts';
import { type Committed, commit, lockFirst } from '../log/commit.ts';
import type { ConversationServices } from '../services.ts';
import { InputReader } from './input.ts';
import { changeOf, type Target } from './target.ts';

/** Ends the conversation, and with it its running reply and its handoff. Ending twice is harmless. */
export async function endConversation(
  services: ConversationServices,
  caller: Caller,
  input: Target & { reason?: string | null | undefined },
): Promise<Committed> {
  const reader = new InputReader();
  const change = changeOf(services, caller, 'endConversation', input);
  const reason = reader.text(['reason'], input.reason) ?? null;
  reader.finish();
  return commit(services, { ...change, lifecycle: { type: 'ConversationEnded', reason } }, lockFirst);
}
