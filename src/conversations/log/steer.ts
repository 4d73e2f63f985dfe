import type { Author } from '../../access/caller.ts';
import { inTransaction, type Pool } from '../../db.ts';
import { append } from './append.ts';
import type { StatePatch } from '../model.ts';
import type { Reached } from './settle.ts';
import { transitions } from './transitions.ts';

/**
 * Changes the state during a running reply, at its agent's request. Returns null if the
 * reply is no longer running; then nothing was written. Repeating it does nothing.
 */
export async function steerReply(
  pool: Pool,
  reply: { conversationId: string; replyId: string; actor: Author },
  state: StatePatch,
): Promise<Reached | null> {
  const { conversationId, replyId, actor } = reply;
  return inTransaction(pool, async (db) => {
    const { rows } = await db.query<{ organizationId: string }>({
      text: `SELECT organization_id AS "organizationId" FROM conversation
        WHERE id = $1 AND generating_message_id = $2 FOR NO KEY UPDATE`,
      values: [conversationId, replyId],
    });
    const held = rows[0];
    if (!held) return null;
    const rule = { ...transitions.changeState, running: 'OK' } as const;
    const appended = await append(db, {
      conversationId,
      ...held,
      rule,
      actor,
      participant: null,
      serverId: null,
      state,
    });
    await db.query({
      text: `UPDATE message SET state_after = jsonb_build_object('playbook', c.playbook, 'phase', c.phase,
          'systemMessage', c.system_message, 'context', c.context)
        FROM conversation c WHERE c.id = $1 AND message.id = $2`,
      values: [conversationId, replyId],
    });
    return appended.outcome === 'OK' ? { ...held, version: appended.rows.conversation.version } : null;
  });
}
