import { type Caller, participantOf } from '../../access/caller.ts';
import { finders, theOne } from '../../access/finders.ts';
import { endUserRoles } from '../../access/visibility.ts';
import type pg from 'pg';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { withEndedReply } from './await-reply.ts';
import { type Committed, commit } from '../log/commit.ts';
import { idempotencyOf } from './idempotency.ts';
import { InputReader } from './input.ts';
import { readOverride } from './parameters.ts';
import type { ConversationServices } from '../services.ts';
import { ruleFor } from '../log/transitions.ts';

export interface RegenerateReplyInput {
  replyId: string;
  runtimeParameters?: unknown;
  awaitReply: boolean;
  expectedVersion?: number | null | undefined;
  idempotencyKey?: string | null | undefined;
}

/** Starts a new reply that replaces the latest one. The old one stays readable. */
export async function regenerateReply(
  services: ConversationServices,
  caller: Caller,
  input: RegenerateReplyInput,
): Promise<Committed> {
  const { organizationId } = caller;
  const replyId = decodeId('Message', input.replyId);
  const old = replyId && (await theOne(finders.Message({ services, viewer: caller }, [replyId])));
  if (!replyId || !old) throw new NotFoundError(['replyId']);
  const { conversationId, inReplyToId } = old;
  const reader = new InputReader();
  const key = reader.idempotencyKey(input.idempotencyKey);
  const runtimeParameters = await readOverride(services, caller, reader, conversationId, input.runtimeParameters);
  reader.finish();

  const committed = await commit(
    services,
    {
      conversationId,
      organizationId,
      rule: ruleFor('regenerateReply'),
      actor: caller.actor,
      participant: participantOf(caller),
      serverId: services.serverId(),
      expectedVersion: input.expectedVersion,
      idempotency: idempotencyOf(caller.id, key, 'regenerateReply', { ...input }),
    },
    async (db) => {
      const reply = { id: services.newId(), inReplyToId, supersedesId: replyId, runtimeParameters };
      if ((await latestReply(db, conversationId)) === replyId) return { reply };
      const detail = 'Must be a generated reply after which nobody has written.';
      throw new InvalidInputError([{ path: ['replyId'], detail }]);
    },
  );
  return input.awaitReply ? withEndedReply(services, caller, committed) : committed;
}

/** The latest message that end users see, if it is a generated reply. */
async function latestReply(db: pg.PoolClient, conversationId: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string; generated: boolean }>({
    name: 'latest-reply',
    text: `SELECT id, runtime_parameters IS NOT NULL AS generated FROM message
      WHERE conversation_id = $1 AND role = ANY($2::"MessageRole"[]) ORDER BY position DESC LIMIT 1`,
    values: [conversationId, endUserRoles],
  });
  return rows[0]?.generated ? rows[0].id : null;
}
