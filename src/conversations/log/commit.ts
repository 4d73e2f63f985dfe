import type pg from 'pg';
import { attachmentFailure } from '../../attachments/name-in-message.ts';
import type { Bus } from '../../bus/hints.ts';
import { inTransaction, type Pool, type Queryable } from '../../db.ts';
import { NotFoundError } from '../../errors.ts';
import type { GateLimits, KeyedGate } from '../../keyed-gate.ts';
import {
  ConversationBusyError,
  ConversationEndedError,
  HandedOffError,
  IdempotencyMismatchError,
  NotHandedOffError,
  VersionConflictError,
} from '../failures.ts';
import type { ReplyRunner } from '../reply-runner.ts';
import { ContactBlockedError } from '../../contacts/failures.ts';
import { append, type Appended, type Change, type Refusal, type Target } from './append.ts';
import { checkState, needsPlaybooks } from './check-state.ts';
import { readRows, type Rows } from './rows.ts';
import { settleReply } from './settle.ts';
import { isKept, takesPart } from './takes-part.ts';
import { decide, type Standing, transitions } from './transitions.ts';

/** The services that committing a change uses. */
export interface CommitServices {
  pool: Pool;
  bus: Bus;
  runner: ReplyRunner;
  gate: KeyedGate;
}

/** Limits commands of one conversation on one server. They wait for the same row, and each that waits there holds a connection. */
export const conversationGate: GateLimits = {
  atOnce: 2,
  waiting: 500,
  waitMs: 10_000,
  refusal: 'Too many commands wait for this conversation. Nothing was done. Try again.',
};

/** The result of a successful command. */
export interface Committed {
  conversationId: string;
  /** The version right after this change. */
  version: number;
  /** The version of the MessageCreated event of the reply that is running at this version. Null if none is. */
  runningReplyVersion: number | null;
  messageId: string | null;
  replyId: string | null;
  /** The rows right after this change. For a repeated idempotency key, as they are now. */
  rows: Rows;
}

/** The row of a conversation, locked until the transaction ends. */
export interface LockedRow extends Standing {
  agentId: string;
  playbook: string | null;
  phase: string | null;
  handoffId: string | null;
}

/**
 * Completes a change with data that must be read under the lock, after the rule has allowed it. Throws to refuse the change. The
 * row is null for a conversation that this change creates.
 */
export type Completion = (db: pg.PoolClient, locked: LockedRow | null) => Promise<Partial<Change>>;

/**
 * Commits a change in one statement, or under the lock if a running reply has to be stopped first or more than the
 * conversation's row has to be read. Notifies followers and starts the reply. Throws if the change is refused; then nothing was
 * written.
 */
export async function commit(services: CommitServices, change: Change, complete?: Completion): Promise<Committed> {
  const attempt = async () => {
    if (!complete && !(change.state && needsPlaybooks(change.state))) {
      const appended = await append(services.pool, change);
      if (appended.outcome !== 'SETTLE') return { ...appended, settled: null };
    }
    return underLock(services, change, !isNew(change), async (db, locked) => {
      const completed = await complete?.(db, locked);
      if (change.state && locked) {
        const refusal = await checkState(db, locked.agentId, change.state, { path: 'stateAfter', before: locked });
        if (refusal) throw refusal;
      }
      // The version was compared when the row was locked. Stopping the reply may have increased it since.
      return append(db, { ...change, ...completed, expectedVersion: null });
    });
  };
  const { gate } = services;
  return answer(services, change, await gate.run(change.conversationId, () => orReplay(services, change, attempt)));
}

/**
 * Commits a change that always takes the lock first and uses its own statements. `write` is called after the rule has
 * allowed the change. `replyId` is the reply that the change is about. The result shows the handoff in force, or the one that the
 * change ended. Otherwise like `commit`.
 */
export async function commitUnderLock(
  services: CommitServices,
  target: Target,
  write: (db: pg.PoolClient, locked: LockedRow) => Promise<void>,
  { replyId = null }: { replyId?: string | null } = {},
): Promise<Committed> {
  const under = async (db: pg.PoolClient, locked: LockedRow | null): Promise<Appended> => {
    if (locked) await write(db, locked);
    const { conversationId } = target;
    let rows = await readRows(db, { conversationId, replyId, handoffId: locked?.handoffId });
    const handoffId = rows?.conversation.handoffId ?? null;
    // The change has put another handoff in place of the one before.
    if (handoffId !== null && handoffId !== locked?.handoffId) {
      rows = await readRows(db, { conversationId, replyId, handoffId });
    }
    if (!rows) throw new Error('A conversation was gone under its lock.');
    return { outcome: 'OK', rows };
  };
  const result = await services.gate.run(target.conversationId, () => underLock(services, target, true, under));
  return answer(services, target, result);
}

/** The result of either path. `settled` is the reply that was stopped first. */
type Result = Appended & { settled: string | null };

function isNew({ beginning }: Change): boolean {
  return beginning?.type === 'ConversationCreated';
}

/** Thrown to roll back a change that was refused after its transaction had begun to write. */
class Refused extends Error {
  readonly result: Appended;
  constructor(result: Appended) {
    super(result.outcome);
    this.result = result;
  }
}

async function underLock(
  services: CommitServices,
  target: Target,
  exists: boolean,
  write: (db: pg.PoolClient, locked: LockedRow | null) => Promise<Appended>,
): Promise<Result> {
  const { conversationId, actor, rule, expectedVersion } = target;
  const settles = rule.running === 'SETTLE';
  const running = settles ? (await readRow(services.pool, target))?.runningReplyId : null;
  const resume = running ? await services.runner.suspend(running) : () => undefined;
  try {
    const result = await inTransaction(services.pool, async (db): Promise<Result> => {
      await lockAuthor(db, target);
      const locked = exists ? await readRow(db, target, 'FOR NO KEY UPDATE') : null;
      const settled = (settles && locked?.runningReplyId) || null;
      const outcome = exists ? decide(settled ? { ...rule, running: 'OK' } : rule, locked, expectedVersion) : 'OK';
      if (outcome === 'UNCHANGED') return { ...(await unchanged(db, target)), settled: null };
      if (outcome !== 'OK') return { ...refusal(outcome, locked), settled: null };
      if (settled) await settleReply(db, { conversationId, replyId: settled, actor }, { status: 'STOPPED' });
      const written = await write(db, locked);
      if (written.outcome !== 'OK') throw new Refused(written);
      return { ...written, settled };
    });
    if (result.settled !== running) resume();
    return result;
  } catch (error) {
    resume();
    if (error instanceof Refused) return { ...error.result, settled: null };
    throw error;
  }
}

/** People are locked before conversations, as everywhere. Whether the person may still write is decided with the rest. */
async function lockAuthor(db: pg.PoolClient, target: Target | Change): Promise<void> {
  const contactId = 'message' in target ? target.message?.author?.contactId : undefined;
  if (contactId === undefined || contactId === null) return;
  await db.query({
    text: 'SELECT FROM contact WHERE id = $1 AND organization_id = $2 FOR KEY SHARE',
    values: [contactId, target.organizationId],
  });
}

async function unchanged(db: pg.PoolClient, { conversationId }: Target): Promise<Appended> {
  const rows = await readRows(db, { conversationId });
  if (!rows) throw new Error('A conversation was gone under its lock.');
  return { outcome: 'OK', rows };
}

function refusal(outcome: Refusal['outcome'], locked: LockedRow | null): Refusal {
  const { version = 0, runningReplyId = null, handoffId = null } = locked ?? {};
  return { outcome, version, runningReplyId, handoffId, contactId: null, attachmentFault: null };
}

async function readRow(db: Queryable, target: Target, lock = ''): Promise<LockedRow | null> {
  const { rows } = await db.query<LockedRow>({
    text: `SELECT version, status, generating_message_id AS "runningReplyId", agent_id AS "agentId", playbook, phase,
        handoff_id AS "handoffId"
      FROM conversation WHERE id = $1 AND organization_id = $2 AND ${takesPart('$3')} AND ${isKept} ${lock}`,
    values: [target.conversationId, target.organizationId, target.participant && JSON.stringify(target.participant)],
  });
  return rows[0] ?? null;
}

/** A simultaneous command with the same key may have succeeded while this one waited or collided. Its success is the answer then. */
async function orReplay(services: CommitServices, change: Change, attempt: () => Promise<Result>): Promise<Result> {
  if (!change.idempotency) return attempt();
  let result: Result;
  try {
    result = await attempt();
  } catch (error) {
    // If the look-up of the key fails too, the first error is reported.
    const replayed = await replay(services, change).catch(() => null);
    if (replayed) return replayed;
    throw error;
  }
  if (['OK', 'REPLAY', 'MISMATCH'].includes(result.outcome)) return result;
  return (await replay(services, change)) ?? result;
}

/** Looks up what the idempotency key was used for. Null if it has not been used. */
async function replay(services: CommitServices, change: Change): Promise<Result | null> {
  const { conversationId, organizationId, idempotency } = change;
  const { rows } = await services.pool.query<{
    inputHash: string;
    conversationId: string;
    version: number;
    messageId: string | null;
    replyId: string | null;
    exists: boolean;
  }>({
    text: `SELECT input_hash AS "inputHash", conversation_id AS "conversationId", version, message_id AS "messageId",
        reply_id AS "replyId", EXISTS (SELECT FROM conversation WHERE id = $4 AND organization_id = $1) AS exists
      FROM idempotency WHERE organization_id = $1 AND caller = $2 AND key = $3`,
    values: [organizationId, idempotency?.caller, idempotency?.key, conversationId],
  });
  const [row] = rows;
  if (!row) return null;
  const { inputHash, exists, ...first } = row;
  if (!exists && !isNew(change)) return { ...refusal('NOT_FOUND', null), settled: null };
  if (inputHash !== idempotency?.inputHash) return { ...refusal('MISMATCH', null), settled: null };
  return { outcome: 'REPLAY', ...first, settled: null };
}

/** The end of both paths: notifies followers of a success and returns it, and throws anything else. */
async function answer(services: CommitServices, change: Target | Change, result: Result): Promise<Committed> {
  if (result.outcome === 'OK') {
    const { rows, settled } = result;
    const { id: conversationId, version, runningReplyVersion } = rows.conversation;
    const [messageId, replyId] = [rows.message?.id ?? null, rows.reply?.id ?? null];
    const moved = moves(change) ? ({ moved: true } as const) : {};
    const { organizationId } = rows.conversation;
    services.bus.publish({
      kind: 'log',
      conversationId,
      organizationId,
      version,
      ...(settled && { settled }),
      ...moved,
    });
    if (replyId && 'serverId' in change) services.runner.start({ conversationId, replyId });
    return { conversationId, version, runningReplyVersion, messageId, replyId, rows };
  }
  if (result.outcome === 'REPLAY') {
    const { conversationId, version, messageId, replyId } = result;
    const rows = await readRows(services.pool, { conversationId, messageId, replyId });
    if (!rows) throw new NotFoundError(['conversationId']);
    return {
      conversationId,
      version,
      runningReplyVersion: replyId === null ? null : version,
      messageId,
      replyId,
      rows,
    };
  }
  throw failure(result, change);
}

/** Whether lists may hold the conversation that did not, or no longer. What takes the lock with statements of its own may do anything. */
function moves(change: Target | Change): boolean {
  return 'serverId' in change ? change.beginning != null : change.rule !== transitions.rateReply;
}

function failure(refused: Refusal, change: Target | Change): Error {
  const { outcome, version, runningReplyId, handoffId, contactId, attachmentFault } = refused;
  const { conversationId } = change;
  switch (outcome) {
    case 'NOT_FOUND':
      return new NotFoundError(['conversationId']);
    case 'MISMATCH':
      return new IdempotencyMismatchError('idempotency' in change ? (change.idempotency?.key ?? '') : '');
    case 'ENDED':
      return new ConversationEndedError(conversationId);
    case 'BUSY':
      return new ConversationBusyError(conversationId, runningReplyId ?? '', version);
    case 'VERSION':
      return new VersionConflictError(conversationId, change.expectedVersion ?? 0, version);
    case 'HANDED_OFF':
      return new HandedOffError(conversationId, handoffId ?? '');
    case 'NOT_HANDED_OFF':
      return new NotHandedOffError(conversationId);
    case 'BLOCKED':
      return new ContactBlockedError(contactId ?? '');
    case 'ATTACHMENT': {
      const path = ('message' in change && change.message?.attachments?.path) || [];
      return attachmentFailure(attachmentFault ?? { place: 0, reason: 'UNKNOWN' }, path);
    }
    case 'AUTHOR_GONE':
      return new NotFoundError(['contactId']);
    case 'SETTLE':
      return new Error('A reply that is to be stopped first is no failure.');
  }
}
