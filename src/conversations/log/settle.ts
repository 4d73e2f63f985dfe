import type { Author } from '../../access/caller.ts';
import type { Queryable } from '../../db.ts';
import { append } from './append.ts';
import { transitions } from './transitions.ts';
import { asNewRows, type NewFragment, writeFragments } from './write-fragments.ts';

/** How a reply ends. */
export interface Ending {
  status: 'DONE' | 'STOPPED' | 'ERROR';
  /** For ERROR: what happened. Safe to show to end users. */
  errorDetail?: string;
  usage?: { inputTokens: number; outputTokens: number } | undefined;
  /** The handoff that the agent requested while it replied. */
  handoff?: { id: string; reason: string | null } | undefined;
}

/** Where a conversation's log is after a change, with its organization's row id. */
export interface Reached {
  version: number;
  organizationId: string;
}

/** A reply, and who ends it. */
interface Settled {
  conversationId: string;
  replyId: string;
  actor: Author;
}

/**
 * Ends a reply and merges its chunks into its fragments. Returns null if the reply is no longer running;
 * then nothing was written. Must run inside a transaction.
 *
 * There are two statements on purpose: the second one's snapshot is taken after the claim is released, so it sees every
 * chunk that a checkpoint committed while the first waited for the row.
 */
export async function settleReply(db: Queryable, reply: Settled, ending: Ending): Promise<Reached | null> {
  const released = await settleWhole(db, reply, ending);
  if (!released) return null;
  await db.query({ name: 'settle-fold', text: foldSql, values: [reply.replyId] });
  if (!ending.handoff) return released;
  const { conversationId, actor } = reply;
  const { id: handoffId, reason } = ending.handoff;
  const appended = await append(db, {
    conversationId,
    organizationId: released.organizationId,
    rule: transitions.startHandoff,
    actor,
    participant: null,
    serverId: null,
    beginning: { type: 'HandoffStarted', handoffId, reason, queue: null, assignee: null, metadata: {} },
  });
  // The person whose it is is being erased, and the conversation with them.
  if (appended.outcome === 'NOT_FOUND') return released;
  if (appended.outcome !== 'OK') throw new Error(`A conversation could not be handed off: ${appended.outcome}.`);
  return { ...released, version: appended.rows.conversation.version };
}

/**
 * The same in one statement, which needs no transaction, for a reply that never had chunks and asks for no handoff. Stores fragments
 * of it that may not be stored yet.
 */
export async function settleWhole(
  db: Queryable,
  reply: Settled,
  ending: Omit<Ending, 'handoff'>,
  fragments: readonly NewFragment[] = [],
): Promise<Reached | null> {
  const { rows } = await db.query<Reached>({
    name: 'settle-release',
    text: releaseSql,
    values: [
      reply.conversationId,
      reply.replyId,
      ending.status,
      ending.errorDetail ?? null,
      ending.usage?.inputTokens ?? null,
      ending.usage?.outputTokens ?? null,
      JSON.stringify(reply.actor),
      JSON.stringify(asNewRows(reply.replyId, fragments)),
    ],
  });
  return rows[0] ?? null;
}

const releaseSql = /* sql */ `
WITH released AS (
  UPDATE conversation SET version = version + 1, updated_at = now(),
    generating_message_id = NULL, generating_server_id = NULL, generating_version = NULL
  WHERE id = $1 AND generating_message_id = $2
  RETURNING id, organization_id, version, $2::uuid AS reply
), written AS (${writeFragments('$8', 'released')}
), ended AS (
  UPDATE message SET status = $3::"MessageStatus", error_detail = $4, input_tokens = $5::int, output_tokens = $6::int,
    completed_at = now()
  FROM released WHERE message.id = $2
), logged AS (
  INSERT INTO event (conversation_id, version, organization_id, type, message_id, actor)
  SELECT id, version, organization_id, 'MessageCompleted', $2, $7::jsonb FROM released
)
SELECT version, organization_id AS "organizationId" FROM released`;

const foldSql = /* sql */ `
WITH taken AS (
  DELETE FROM chunk WHERE message_id = $1 RETURNING fragment_index, "offset", units, reversed
), joined AS (
  SELECT fragment_index, string_agg(reverse(reversed), '' ORDER BY "offset") AS text, sum(units)::int AS units FROM taken GROUP BY 1
)
UPDATE fragment SET text = fragment.text || joined.text, units = fragment.units + joined.units
FROM joined WHERE fragment.message_id = $1 AND fragment.index = joined.fragment_index`;
