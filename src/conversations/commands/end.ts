import type { Caller } from '../../access/caller.ts';
import { type Committed, commitUnderLock } from '../log/commit.ts';
import { logEvents } from '../log/log-events.ts';
import type { ConversationServices } from '../services.ts';
import { markHandoffEnded } from './handoff.ts';
import { InputReader } from './input.ts';
import { type ConversationInput, targetOf } from './target.ts';

/** Ends the conversation, and with it its running reply and its handoff. Ending it again does nothing. */
export async function endConversation(
  services: ConversationServices,
  caller: Caller,
  input: ConversationInput & { reason?: string | null | undefined },
): Promise<Committed> {
  const reader = new InputReader();
  const target = targetOf(caller, 'endConversation', input);
  const reason = reader.text(['reason'], input.reason) ?? null;
  reader.finish();
  return commitUnderLock(services, target, async (db, { handoffId }) => {
    await db.query({
      text: `UPDATE conversation SET status = 'ENDED', handoff_id = NULL, ended_at = now() WHERE id = $1`,
      values: [target.conversationId],
    });
    if (handoffId) await markHandoffEnded(db, handoffId);
    await logEvents(db, target, [
      ...(handoffId ? [{ type: 'HandoffEnded', handoffId } as const] : []),
      { type: 'ConversationEnded', data: { reason } },
    ]);
  });
}
