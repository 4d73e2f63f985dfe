import type pg from 'pg';
import type { FragmentRow } from '../conversations/log/read.ts';
import type { Bus } from '../bus/bus.ts';
import type { Logger } from '../logger.ts';
import type { Lease } from './lease.ts';
import type { Run, Snapshot } from './run.ts';

/** Storing begins when the oldest text that is not stored is this old, in milliseconds, or later when it takes longer than that. */
const INTERVAL_MS = 150;

/** Who is told the fragments that have begun, once they are committed, without having to read them. */
export interface FragmentListener {
  onBegun(conversationId: string, fragments: readonly FragmentRow[]): void;
}

export interface CheckpointOptions {
  pool: pg.Pool;
  bus: Bus;
  lease: Pick<Lease, 'isHeld'>;
  logger: Logger;
  feedRegistry?: FragmentListener | undefined;
}

/**
 * Stores what this server's replies have produced, all of them in one statement, and tells the followers. One statement
 * is under way at a time; what comes meanwhile shares the next.
 */
export class Checkpoints {
  private readonly pool: pg.Pool;
  private readonly bus: Bus;
  private readonly lease: Pick<Lease, 'isHeld'>;
  private readonly logger: Logger;
  private readonly feedRegistry: FragmentListener | undefined;
  private readonly dirty = new Set<Run>();
  /** Since when there has been text that no statement has taken. */
  private waitingSince: number | null = null;
  private storing: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private immediate: NodeJS.Immediate | null = null;
  private urgent = false;
  private stopped = false;

  constructor(options: CheckpointOptions) {
    this.pool = options.pool;
    this.bus = options.bus;
    this.lease = options.lease;
    this.logger = options.logger;
    this.feedRegistry = options.feedRegistry;
  }

  /** Publishes a run's new text, and has it stored within the interval, or at once. */
  add(run: Run, urgency: 'now' | 'soon'): void {
    this.publish(run);
    this.dirty.add(run);
    this.waitingSince ??= performance.now();
    this.urgent ||= urgency === 'now';
    this.arm();
  }

  /** Stores all that a run has produced. Throws when the database does. */
  async flush(run: Run): Promise<void> {
    this.dirty.add(run);
    while (!run.fenced && this.dirty.has(run)) await this.store();
  }

  stop(): void {
    this.stopped = true;
    this.disarm();
  }

  private publish(run: Run): void {
    if (run.fenced || !this.lease.isHeld()) return;
    const { conversationId, replyId: messageId } = run;
    for (const text of run.unpublished()) this.bus.publish({ kind: 'text', conversationId, messageId, ...text });
  }

  /** Tells of fragments whose rows were committed. */
  private tell(run: Run, { begun, ended }: Snapshot): void {
    if (begun.length + ended.length === 0 || !this.lease.isHeld()) return;
    const { conversationId, replyId: messageId } = run;
    this.feedRegistry?.onBegun(
      conversationId,
      begun.map(({ units: _units, ...row }) => ({ ...row, messageId })),
    );
    this.bus.publish({ kind: 'fragments', conversationId, messageId });
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
      if (run.fenced || !run.snapshot()) this.dirty.delete(run);
      else runs.push(run);
    }
    this.waitingSince = null;
    if (runs.length === 0) return;
    const held = await storeSnapshots(this.pool, runs);
    for (const run of runs) {
      if (!held.has(run.replyId)) {
        run.fence();
        this.dirty.delete(run);
        continue;
      }
      this.tell(run, run.commit());
      this.publish(run);
      if (run.isStored()) this.dirty.delete(run);
    }
  }

  /** Has the next statement begin in time, unless one is under way: its end arms again. */
  private arm(): void {
    if (this.storing || this.stopped) return;
    if (this.urgent) this.immediate ??= setImmediate(() => this.storeQuietly());
    else {
      this.waitingSince ??= performance.now();
      const wait = Math.max(0, this.waitingSince + INTERVAL_MS - performance.now());
      this.timer ??= setTimeout(() => this.storeQuietly(), wait);
    }
  }

  private disarm(): void {
    if (this.timer) clearTimeout(this.timer);
    if (this.immediate) clearImmediate(this.immediate);
    this.timer = null;
    this.immediate = null;
  }
}

/** Stores the pending snapshots of the runs that still hold their claim; returns the replies of those. */
async function storeSnapshots(pool: pg.Pool, runs: readonly Run[]): Promise<Set<string>> {
  const claims = runs.map(({ conversationId, replyId }) => ({ conversation: conversationId, reply: replyId }));
  const rowsOf = (part: 'begun' | 'ended' | 'chunks') =>
    JSON.stringify(runs.flatMap((run) => (run.pending?.[part] ?? []).map((row) => ({ reply: run.replyId, ...row }))));
  const { rows } = await pool.query<{ reply: string }>({
    name: 'checkpoint',
    text: checkpointSql,
    values: [JSON.stringify(claims), rowsOf('begun'), rowsOf('ended'), rowsOf('chunks')],
  });
  return new Set(rows.map((row) => row.reply));
}

/**
 * The share lock makes settling wait for a checkpoint, and a checkpoint that waited find its claim gone.
 *
 * A chunk grows at its front, so that the end of the row stays the same: PostgreSQL logs no more of a changed row than what
 * differs between an equal beginning and an equal end.
 */
const checkpointSql = /* sql */ `
WITH held AS (
  SELECT c.generating_message_id AS reply
  FROM conversation c, jsonb_to_recordset($1::jsonb) AS claim(conversation uuid, reply uuid)
  WHERE c.id = claim.conversation AND c.generating_message_id = claim.reply
  FOR SHARE OF c
), begun AS (
  INSERT INTO fragment (message_id, index, kind, status, text, units, name, args, call_index, response, failed, metadata)
  SELECT held.reply, f.index, f.kind::"FragmentKind", f.status::"FragmentStatus", f.text, f.units, f.name,
    nullif(f.args, 'null'), f."callIndex", f.response, f.failed, f.metadata
  FROM held JOIN jsonb_to_recordset($2::jsonb) AS f(reply uuid, index int, kind text, status text, text text, units int,
    name text, args jsonb, "callIndex" int, response jsonb, failed boolean, metadata jsonb) ON f.reply = held.reply
  ON CONFLICT DO NOTHING
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
SELECT reply FROM held`;
