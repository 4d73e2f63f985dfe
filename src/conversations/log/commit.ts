import type pg from 'pg';
import { inTransaction } from '../../db.ts';
import { NotFoundError } from '../../errors.ts';
import { append, type Appended, type Change } from './append.ts';
import { checkState, needsPlaybooks } from './check-state.ts';
import {
  ConversationBusyError,
  ConversationEndedError,
  HandedOffError,
  IdempotencyMismatchError,
  NotHandedOffError,
  VersionConflictError,
} from '../failures.ts';
import type { Bus } from '../../bus/bus.ts';
import type { ReplyRunner } from '../reply-runner.ts';
import { settleReply } from './settle.ts';

/** What a change is committed with. */
export interface CommitServices {
  pool: pg.Pool;
  bus: Bus;
  runner: ReplyRunner;
}

/** What a successful command leaves behind. */
export interface Committed {
  conversationId: string;
  /** Just after this change. */
  version: number;
  /** The version of the MessageCreated of the reply that runs at this version; null when none does. */
  runningReplyVersion: number | null;
  messageId: string | null;
  replyId: string | null;
  handoffId: string | null;
}

/**
 * Completes a change from what only rows read under the lock can tell. A `refusal` is thrown if nothing that takes
 * precedence refuses the change; then nothing is written.
 */
export type Completion = (db: pg.PoolClient) => Promise<Partial<Change> & { refusal?: Error | null }>;

/** For a change that writes to rows other than the conversation's, which a snapshot from before the lock may not see. */
export const lockFirst: Completion = () => Promise.resolve({});

/**
 * Commits a change, stops the running reply first where the rule says so, tells the followers and starts the reply.
 * Throws the failure that the locked row gave; then nothing was written.
 */
export async function commit(services: CommitServices, change: Change, complete?: Completion): Promise<Committed> {
  const { result, settled } = await decide(services, change, complete);
  const succeeded = result.outcome === 'OK' || result.outcome === 'UNCHANGED';
  if (succeeded) announce(services, result, settled);
  else if (result.outcome !== 'REPLAY') throw failure(result, change);
  const running = result.outcome === 'REPLAY' ? result.replyId : result.runningReplyId;
  const runningVersion = result.outcome === 'REPLAY' ? result.version : result.runningReplyVersion;
  return {
    conversationId: result.conversationId,
    version: result.version,
    runningReplyVersion: running ? runningVersion : null,
    messageId: result.messageId,
    replyId: result.replyId,
    handoffId: result.handoffId,
  };
}

interface Decision {
  result: Appended;
  /** The reply that was stopped on the way. */
  settled: string | null;
}

async function decide(services: CommitServices, change: Change, complete?: Completion): Promise<Decision> {
  const attempt = async (): Promise<Decision> => {
    if (!complete && !(change.state && needsPlaybooks(change.state))) {
      const result = await append(services.pool, change);
      if (result.outcome !== 'SETTLE') return { result, settled: null };
    }
    return changeUnderLock(services, change, complete);
  };
  if (!change.idempotency) return attempt();
  try {
    const decision = await attempt();
    if (['OK', 'UNCHANGED', 'REPLAY', 'MISMATCH'].includes(decision.result.outcome)) return decision;
    return (await replay(services, change)) ?? decision;
  } catch (error) {
    // A twin may have won while this attempt waited or collided: its success is this one's answer.
    const decision = await replay(services, change);
    if (decision) return decision;
    throw error;
  }
}

/** Looks the idempotency key up afresh; null when it has still not been used. Changes nothing. */
async function replay(services: CommitServices, change: Change): Promise<Decision | null> {
  const { rows } = await services.pool.query({
    text: 'SELECT FROM idempotency WHERE organization_id = $1 AND caller = $2 AND key = $3',
    values: [change.organizationId, change.idempotency?.caller, change.idempotency?.key],
  });
  return rows.length > 0 ? { result: await append(services.pool, change), settled: null } : null;
}

/** Thrown to roll back a change that was refused after its transaction had begun to write. */
class Refused extends Error {
  readonly result: Appended;
  constructor(result: Appended) {
    super(result.outcome);
    this.result = result;
  }
}

async function changeUnderLock(
  services: CommitServices,
  change: Change,
  complete: Completion | undefined,
): Promise<Decision> {
  const settles = change.rule.running === 'SETTLE';
  const running = settles ? (await readRow(services.pool, change))?.runningReplyId : null;
  const resume = running ? await services.runner.suspend(running) : () => undefined;
  try {
    const decision = await inTransaction(services.pool, async (db): Promise<Decision> => {
      const locked = await readRow(db, change, 'FOR NO KEY UPDATE');
      const settled = settles && locked ? await settleRunning(db, change, locked) : null;
      const { refusal, ...completed } = (await complete?.(db)) ?? {};
      const result = await append(db, {
        ...change,
        ...completed,
        // Settling has compared the version, and raised it.
        expectedVersion: settled === null ? change.expectedVersion : null,
      });
      if (result.outcome !== 'OK' && result.outcome !== 'UNCHANGED') throw new Refused(result);
      const refused = refusal ?? (await stateRefusal(db, change, locked));
      if (refused) throw refused;
      return { result, settled };
    });
    if (decision.settled !== running) resume();
    return decision;
  } catch (error) {
    resume();
    if (error instanceof Refused) return { result: error.result, settled: null };
    throw error;
  }
}

interface LockedRow {
  version: number;
  runningReplyId: string | null;
  agentId: string;
  playbook: string | null;
  phase: string | null;
}

/** A new conversation has no row to be locked: its state is checked where its row is made. */
async function stateRefusal(db: pg.PoolClient, { state }: Change, locked: LockedRow | null): Promise<Error | null> {
  return state && locked ? checkState(db, locked.agentId, state, { path: 'stateAfter', before: locked }) : null;
}

/** Stops the running reply; returns its id. Throws `VersionConflictError` before anything is stopped. */
async function settleRunning(db: pg.PoolClient, change: Change, locked: LockedRow): Promise<string | null> {
  const { conversationId, actor, expectedVersion } = change;
  const { runningReplyId: replyId, version } = locked;
  if (replyId === null) return null;
  if (expectedVersion != null && expectedVersion !== version) {
    throw new VersionConflictError(conversationId, expectedVersion, version);
  }
  await settleReply(db, { conversationId, replyId, actor }, { status: 'STOPPED' });
  return replyId;
}

async function readRow(db: pg.Pool | pg.PoolClient, change: Change, lock = ''): Promise<LockedRow | null> {
  const { rows } = await db.query<LockedRow>({
    text: `SELECT version, generating_message_id AS "runningReplyId", agent_id AS "agentId", playbook, phase
      FROM conversation WHERE id = $1 AND organization_id = $2 ${lock}`,
    values: [change.conversationId, change.organizationId],
  });
  return rows[0] ?? null;
}

function announce(services: CommitServices, result: Appended, settled: string | null): void {
  const { conversationId, version, replyId } = result;
  services.bus.publish({ kind: 'log', conversationId, version, ...(settled && { settled }) });
  if (replyId) services.runner.start({ conversationId, replyId });
}

function failure(result: Appended, change: Change): Error {
  const { outcome, conversationId, version, runningReplyId, handoffId } = result;
  switch (outcome) {
    case 'NOT_FOUND':
      return new NotFoundError(['conversationId']);
    case 'MISMATCH':
      return new IdempotencyMismatchError(change.idempotency?.key ?? '');
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
    case 'OK':
    case 'UNCHANGED':
    case 'REPLAY':
    case 'SETTLE':
      return new Error(`${outcome} is not a failure`);
  }
}
