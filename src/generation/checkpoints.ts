import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '../db.ts';
import type { FragmentRow } from '../conversations/log/read.ts';
import { asNewRows, type NewFragment, writeFragments } from '../conversations/log/write-fragments.ts';
import type { Bus, Reach } from '../bus/hints.ts';
import { UnavailableError } from '../errors.ts';
import { STORE_MS } from '../text-timing.ts';
import type { Logger } from '../logger.ts';
import type { Lease } from './lease.ts';
import { RemoteFollowers } from './remote-followers.ts';
import type { Run, Snapshot, Urgency } from './run.ts';

/** How long to wait before retrying a conversation that was locked, in milliseconds: at first, and at most. */
const LOCKED_MS = { first: 50, longest: 1000 };

/** How long a flush waits for a locked conversation, in milliseconds. */
const FLUSH_MS = 3000;

/** Receives fragments that have begun, once they are committed, so that it need not read them. */
export interface FragmentListener {
  onBegun(conversationId: string, fragments: readonly FragmentRow[]): void;
}

export interface CheckpointOptions {
  /** For ending replies and everything else that may wait. */
  pool: Pool;
  /** For storing text, which must not wait. Default: `pool`. */
  checkpointPool?: Pool;
  bus: Bus;
  lease: Pick<Lease, 'isHeld'>;
  logger: Logger;
  feedRegistry?: FragmentListener | undefined;
}

/**
 * Stores what this server's replies have produced, all in one statement, and notifies followers. One statement
 * runs at a time. Output that arrives meanwhile shares the next one.
 */
export class Checkpoints {
  private readonly pool: Pool;
  private readonly bus: Bus;
  private readonly lease: Pick<Lease, 'isHeld'>;
  private readonly logger: Logger;
  private readonly feedRegistry: FragmentListener | undefined;
  private readonly remoteFollowers: RemoteFollowers;
  private readonly runs = new Map<string, Run>();
  private readonly dirty = new Set<Run>();
  /** Runs whose text other servers have begun to follow, and must read from its rows once. */
  private readonly joined = new Set<Run>();
  /** Runs whose conversation is locked by others, and when to try again. */
  private readonly locked = new Map<Run, { wait: number; until: number }>();
  /** Since when there has been text that no statement has picked up. */
  private waitingSince: number | null = null;
  private storing: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private immediate: NodeJS.Immediate | null = null;
  private urgent = false;
  private stopped = false;

  constructor(options: CheckpointOptions) {
    this.pool = options.checkpointPool ?? options.pool;
    this.bus = options.bus;
    this.lease = options.lease;
    this.logger = options.logger;
    this.feedRegistry = options.feedRegistry;
    this.remoteFollowers = new RemoteFollowers(options.bus, (conversationId) => this.onFollowed(conversationId));
  }

  /** A run begins: learns whether other servers follow it, until the returned function is called. */
  begin(run: Run): () => void {
    this.runs.set(run.conversationId, run);
    const end = this.remoteFollowers.begin(run.conversationId);
    return () => {
      end();
      this.joined.delete(run);
      if (this.runs.get(run.conversationId) === run) this.runs.delete(run.conversationId);
    };
  }

  /** Publishes a run's new text, and stores it within the interval, or at once. */
  add(run: Run, urgency: Urgency): void {
    if (urgency === 'not') return;
    this.publish(run);
    this.dirty.add(run);
    this.waitingSince ??= performance.now();
    this.urgent ||= urgency === 'now';
    this.arm();
  }

  /**
   * All that a run has produced, for its end to store, if nothing of it has been stored or is about to be. Null if the rest has to be
   * flushed first.
   */
  takeWhole(run: Run): NewFragment[] | null {
    const whole = run.whole();
    if (whole) this.forget(run);
    if (this.dirty.size === 0) this.rest();
    return whole;
  }

  /** Stores everything that a run has produced. Throws if the database fails or the conversation stays locked. */
  async flush(run: Run): Promise<void> {
    const deadline = performance.now() + FLUSH_MS;
    this.dirty.add(run);
    while (!run.fenced && this.dirty.has(run)) {
      const locked = this.locked.get(run);
      if (locked && performance.now() > deadline) {
        throw new UnavailableError('Others have had the conversation locked for too long. Try again.', 1);
      }
      if (locked) await sleep(Math.max(0, locked.until - performance.now()));
      await this.store();
    }
  }

  stop(): void {
    this.stopped = true;
    this.remoteFollowers.close();
    this.disarm();
  }

  /** Publishes a run's new text: to other servers only if one of them follows. */
  publish(run: Run): void {
    if (run.fenced || !this.lease.isHeld()) return;
    const { conversationId, replyId: messageId } = run;
    const reach = this.reachOf(run);
    for (const { fragment, offset, text } of run.unpublished()) {
      this.bus.publish({ kind: 'text', conversationId, messageId, fragment, offset, text }, reach);
    }
  }

  private reachOf({ conversationId }: Run): Reach {
    return this.remoteFollowers.follow(conversationId) ? 'EVERYWHERE' : 'HERE';
  }

  /** Text that was not sent to other servers is stored now, for them to read. */
  private onFollowed(conversationId: string): void {
    const run = this.runs.get(conversationId);
    if (!run) return;
    this.joined.add(run);
    this.add(run, 'now');
  }

  /** Announces fragments whose rows were committed. */
  private tell(run: Run, { begun, ended }: Snapshot): void {
    if (begun.length + ended.length === 0 || !this.lease.isHeld()) return;
    const { conversationId, replyId: messageId } = run;
    this.feedRegistry?.onBegun(
      conversationId,
      begun.map(({ units: _units, ...row }) => ({ ...row, messageId })),
    );
    this.bus.publish({ kind: 'fragments', conversationId, messageId }, this.reachOf(run));
  }

  /** Tells servers that have begun to follow that all they were not sent is stored. */
  private tellJoined(run: Run): void {
    this.joined.delete(run);
    if (!this.lease.isHeld()) return;
    this.bus.publish({ kind: 'fragments', conversationId: run.conversationId, messageId: run.replyId }, 'ELSEWHERE');
  }

  private storeQuietly(): void {
    this.store().catch((error: unknown) => {
      this.logger.warn({ err: error }, 'could not store the text of running replies; trying again');
    });
  }

  private async store(): Promise<void> {
    if (this.storing) return this.storing;
    this.disarm();
    this.urgent = false;
    this.storing = this.storeAll().finally(() => {
      this.storing = null;
      if (this.dirty.size > 0) this.arm();
    });
    return this.storing;
  }

  private async storeAll(): Promise<void> {
    const runs: Run[] = [];
    for (const run of this.dirty) {
      if (run.fenced || !run.snapshot()) {
        if (!run.fenced && this.joined.has(run)) this.tellJoined(run);
        this.forget(run);
      } else if (this.lockedFor(run) <= 0) runs.push(run);
    }
    this.waitingSince = null;
    if (runs.length === 0) return;
    // Who begins to follow while the statement is under way is told after the next one.
    const joined = new Set(runs.filter((run) => this.joined.has(run)));
    const refusals = await storeSnapshots(this.pool, runs);
    for (const run of runs) {
      const refusal = refusals.get(run.replyId);
      if (refusal === 'locked') {
        const wait = Math.min(LOCKED_MS.longest, 2 * (this.locked.get(run)?.wait ?? LOCKED_MS.first / 2));
        this.locked.set(run, { wait, until: performance.now() + wait });
        continue;
      }
      this.locked.delete(run);
      if (refusal === 'gone') {
        run.fence();
        this.forget(run);
        continue;
      }
      this.tell(run, run.commit());
      if (joined.has(run) || (this.joined.has(run) && run.isStored())) this.tellJoined(run);
      this.publish(run);
      if (run.isStored()) this.forget(run);
    }
  }

  private forget(run: Run): void {
    this.dirty.delete(run);
    this.locked.delete(run);
  }

  /** How long to wait before trying this run again, in milliseconds. */
  private lockedFor(run: Run): number {
    return (this.locked.get(run)?.until ?? 0) - performance.now();
  }

  /** Schedules the next statement. If one is running, its end schedules the next. */
  private arm(): void {
    if (this.storing || this.stopped) return;
    if (this.urgent) this.immediate ??= setImmediate(() => this.storeQuietly());
    else if (!this.timer) {
      this.waitingSince ??= performance.now();
      // If all remaining runs are locked, trying sooner is useless.
      const locked = Math.min(...[...this.dirty].map((run) => this.lockedFor(run)));
      const wait = Math.max(0, locked, this.waitingSince + STORE_MS - performance.now());
      this.timer = setTimeout(() => this.storeQuietly(), wait);
    }
  }

  /** Nothing waits to be stored. */
  private rest(): void {
    this.disarm();
    this.urgent = false;
    this.waitingSince = null;
  }

  private disarm(): void {
    if (this.timer) clearTimeout(this.timer);
    if (this.immediate) clearImmediate(this.immediate);
    this.timer = null;
    this.immediate = null;
  }
}

/** Why a snapshot was not stored. `locked`: others have locked the conversation. `gone`: the reply no longer belongs to this run. */
type Refusal = 'locked' | 'gone';

/** Stores the pending snapshots of the runs whose conversation can be locked at once. Returns the replies of which it was not stored. */
async function storeSnapshots(pool: Pool, runs: readonly Run[]): Promise<Map<string, Refusal>> {
  const claims = runs.map(({ conversationId, replyId }) => ({ conversation: conversationId, reply: replyId }));
  const rowsOf = (part: 'ended' | 'chunks') =>
    JSON.stringify(runs.flatMap((run) => (run.pending?.[part] ?? []).map((row) => ({ reply: run.replyId, ...row }))));
  const begun = JSON.stringify(runs.flatMap((run) => asNewRows(run.replyId, run.pending?.begun ?? [])));
  const { rows } = await pool.query<{ reply: string; refusal: Refusal }>({
    name: 'checkpoint',
    text: checkpointSql,
    values: [JSON.stringify(claims), begun, rowsOf('ended'), rowsOf('chunks')],
  });
  return new Map(rows.map(({ reply, refusal }) => [reply, refusal]));
}

/**
 * The share lock makes the end of a reply wait for a checkpoint. A checkpoint never waits: it skips a conversation that is
 * locked, so that one conversation does not delay the text of all others.
 *
 * A chunk grows at its front, so that the end of the row stays the same: of a changed row PostgreSQL logs only what
 * differs between the equal beginning and the equal end.
 */
const checkpointSql = /* sql */ `
WITH claim AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS claim(conversation uuid, reply uuid)
), held AS (
  SELECT c.generating_message_id AS reply
  FROM conversation c, claim
  WHERE c.id = claim.conversation AND c.generating_message_id = claim.reply
  FOR SHARE OF c SKIP LOCKED
), begun AS (${writeFragments('$2', 'held')}
), ended AS (
  UPDATE fragment SET status = 'DONE', metadata = e.metadata
  FROM held JOIN jsonb_to_recordset($3::jsonb) AS e(reply uuid, index int, metadata jsonb) ON e.reply = held.reply
  WHERE fragment.message_id = held.reply AND fragment.index = e.index
), fresh AS (
  SELECT t.* FROM held
    JOIN jsonb_to_recordset($4::jsonb) AS t(reply uuid, index int, chunk int, "offset" int, units int, text text)
    ON t.reply = held.reply
), grown AS (
  UPDATE chunk SET units = chunk.units + fresh.units, reversed = reverse(fresh.text) || chunk.reversed
  FROM fresh
  WHERE message_id = fresh.reply AND fragment_index = fresh.index AND chunk."offset" = fresh.chunk
    AND chunk."offset" + chunk.units = fresh."offset"
), added AS (
  INSERT INTO chunk (message_id, fragment_index, "offset", units, reversed)
  SELECT reply, index, chunk, units, reverse(text) FROM fresh
  WHERE "offset" = chunk AND NOT EXISTS (
    SELECT FROM chunk AS known
    WHERE known.message_id = reply AND known.fragment_index = index AND known."offset" = fresh.chunk)
)
SELECT claim.reply,
  -- As it was before the statement; whoever has it locked may be about to take it away, which the next one finds.
  CASE WHEN EXISTS (SELECT FROM conversation c WHERE c.id = claim.conversation AND c.generating_message_id = claim.reply)
    THEN 'locked' ELSE 'gone' END AS refusal
FROM claim WHERE NOT EXISTS (SELECT FROM held WHERE held.reply = claim.reply)`;
