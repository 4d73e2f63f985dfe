import { type Caller, participantOf } from '../../access/caller.ts';
import { finders, theOne } from '../../access/finders.ts';
import { inTransaction } from '../../db.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { Committed } from '../log/commit.ts';
import type { ConversationServices } from '../services.ts';
import { readRows, type Rows } from '../log/rows.ts';
import { takesPart } from '../log/takes-part.ts';
import { settleReply } from '../log/settle.ts';

/** Stops exactly this reply, whichever server runs it, and keeps its text. A reply that has ended is left as it is. */
export async function stopReply(
  services: ConversationServices,
  caller: Caller,
  input: { replyId: string },
): Promise<Committed> {
  const replyId = decodeId('Message', input.replyId);
  const message = replyId && (await theOne(finders.Message({ services, viewer: caller }, [replyId])));
  if (!replyId || !message) throw new NotFoundError(['replyId']);
  if (message.runtimeParameters === null) {
    throw new InvalidInputError([{ path: ['replyId'], detail: 'Names a message that is not a generated reply.' }]);
  }
  const { conversationId } = message;
  const stopped =
    message.status === 'IN_PROGRESS'
      ? await services.gate.run(conversationId, () => settleRunning(services, caller, conversationId, replyId))
      : null;
  const rows = stopped ?? (await readRows(services.pool, { conversationId, replyId }));
  if (!rows?.reply) throw new NotFoundError(['replyId']);
  const { version, runningReplyVersion } = rows.conversation;
  return { conversationId, version, runningReplyVersion, messageId: null, replyId, rows };
}

/** Null if the reply had ended already. Then nothing was written. */
async function settleRunning(
  services: ConversationServices,
  caller: Caller,
  conversationId: string,
  replyId: string,
): Promise<Rows | null> {
  const resume = await services.runner.suspend(replyId);
  let rows: Rows | null;
  try {
    rows = await inTransaction(services.pool, async (db) => {
      const { rowCount } = await db.query({
        text: `SELECT FROM conversation WHERE id = $1 AND ${takesPart('$2')} FOR NO KEY UPDATE`,
        values: [conversationId, caller.confinedTo && JSON.stringify(participantOf(caller))],
      });
      if (rowCount === 0) throw new NotFoundError(['replyId']);
      const reply = { conversationId, replyId, actor: caller.actor };
      return (await settleReply(db, reply, { status: 'STOPPED' })) && readRows(db, { conversationId, replyId });
    });
  } catch (error) {
    resume();
    throw error;
  }
  if (!rows) {
    resume();
    return null;
  }
  const { version, organizationId } = rows.conversation;
  services.bus.publish({ kind: 'log', conversationId, organizationId, version, settled: replyId });
  return rows;
}
