import type { Author } from '../access/caller.ts';
import { nextPhases } from '../agents/playbook.ts';
import { type ReplyPart, type Runtime, RuntimeError, type Turn } from '../agents/runtime.ts';
import { turnOf } from '../agents/turn.ts';
import type { ReplyRunner } from '../conversations/reply-runner.ts';
import { type Ending, settleReply, settleWhole } from '../conversations/log/settle.ts';
import { steerReply } from '../conversations/log/steer.ts';
import { inTransaction } from '../db.ts';
import type { Hint, HintListener } from '../bus/hints.ts';
import type { NewId } from '../ids.ts';
import type { Shutdown } from '../shutdown-deadline.ts';
import { retry } from '../retry.ts';
import type { RunningOperation, RunningOperations } from '../running-operations.ts';
import type { Storage } from '../storage/storage.ts';
import { Semaphore } from '../semaphore.ts';
import { type CheckpointOptions, Checkpoints } from './checkpoints.ts';
import { BadPartError } from './draft.ts';
import { PartReader, SilenceError } from './part-reader.ts';
import { Run, sooner, type Urgency } from './run.ts';
import { loadTurn } from './turn.ts';

export interface RunnerOptions extends CheckpointOptions {
  newId: NewId;
  runtimes: { get(name: string): Runtime | undefined };
  /** Keeps track of what runs. */
  runningOperations?: RunningOperations;
  /** How long a runtime may take for its next part. */
  silenceSeconds: number;
  /** Where the files of messages are. */
  storage: Pick<Storage, 'read'>;
  /** How many bytes of the conversation a reply is generated from. */
  historyBytes: number;
  /** Called with the tokens that a reply has used, once it has ended. Never rejects. */
  onUsage?: (conversationId: string, tokens: number) => Promise<void>;
}

/** Replies whose conversations are read at the same time. */
const LOADING = 4;

/** Runs the replies of this server: takes parts from their runtimes, publishes and stores them, and ends each reply once. */
export class Runner implements ReplyRunner, HintListener {
  private readonly options: RunnerOptions;
  private readonly checkpoints: Checkpoints;
  private readonly runs = new Map<string, { run: Run; ended: Promise<void> }>();
  private readonly unsubscribe: () => void;
  private readonly loading = new Semaphore(LOADING);
  /** After closing, new replies are ended at once. */
  private stopping = false;
  private stopped = false;

  constructor(options: RunnerOptions) {
    this.options = options;
    this.checkpoints = new Checkpoints(options);
    this.unsubscribe = options.bus.subscribe(this);
  }

  /** Does nothing for a reply that is running already. */
  start(reply: { conversationId: string; replyId: string }): void {
    if (this.stopped || this.runs.has(reply.replyId)) return;
    const run = new Run(reply);
    if (this.stopping) run.abort.abort(new ShutdownError());
    const ended = this.drive(run).finally(() => this.runs.delete(run.replyId));
    this.runs.set(run.replyId, { run, ended });
  }

  running(replyId: string): Promise<void> | null {
    return this.runs.get(replyId)?.ended ?? null;
  }

  async suspend(replyId: string): Promise<() => void> {
    const run = this.runs.get(replyId)?.run;
    if (!run) return () => undefined;
    run.hold();
    try {
      await this.checkpoints.flush(run);
    } catch (error) {
      run.resume();
      throw error;
    }
    return () => run.resume();
  }

  onHint(hint: Hint): void {
    if (hint.kind === 'log' && hint.settled !== undefined) this.runs.get(hint.settled)?.run.fence();
  }

  onReconnect(): void {
    // If the end of a reply was missed, the next checkpoint notices.
  }

  /** Drops all replies, which no longer belong to this server. */
  fenceAll(): void {
    for (const { run } of this.runs.values()) run.fence();
  }

  /**
   * Gives running replies, and operations that may still start some, time to finish. Then ends the remaining replies
   * with the text they have. Those that cannot be ended in time are left to other servers. Times are in milliseconds.
   */
  async stop(
    shutdown: Shutdown,
    options: { operations: Promise<void>; graceMs: number; settleMs: number },
  ): Promise<void> {
    const ended = options.operations.then(() => this.allEnded());
    await shutdown.patiently(ended, options.graceMs);
    this.stopping = true;
    for (const { run } of this.runs.values()) {
      run.resume();
      run.abort.abort(new ShutdownError());
    }
    await shutdown.within(ended, options.settleMs);
    this.stopped = true;
    if (this.runs.size > 0) this.options.logger.error(`could not settle ${this.runs.size} replies; other servers will`);
    this.fenceAll();
    this.unsubscribe();
    this.checkpoints.stop();
  }

  private async allEnded(): Promise<void> {
    while (this.runs.size > 0) await Promise.allSettled([...this.runs.values()].map((entry) => entry.ended));
  }

  private async drive(run: Run): Promise<void> {
    const { pool, storage, logger, runtimes, historyBytes } = this.options;
    const { conversationId, replyId } = run;
    let ending: Ending;
    let actor: Author = { kind: 'AI_AGENT' };
    let operation: RunningOperation | undefined;
    let parts: PartReader<ReplyPart> | undefined;
    const end = this.checkpoints.begin(run);
    try {
      // An outage of the database only delays the reply: no other server may end it while this one is alive.
      const loaded = await this.untilDone(run, 'load what to answer', () =>
        // If interrupted while it waited for its turn, there is nothing to load.
        this.loading.run(() => (run.abort.signal.aborted ? null : loadTurn({ pool, storage }, replyId, historyBytes))),
      );
      if (!loaded) {
        run.abort.signal.throwIfAborted();
        return;
      }
      actor = { kind: 'AI_AGENT', agentId: loaded.agentId };
      const runtime = runtimes.get(loaded.runtime);
      if (!runtime) throw new BadPartError(`This server has no runtime named ${loaded.runtime}.`);
      operation = this.options.runningOperations?.begin(`a reply of the runtime ${loaded.runtime}`);
      const turn = turnOf(loaded);
      let { phase } = turn.state;
      parts = new PartReader(runtime.reply(turn, run.abort.signal), run.abort, this.options.silenceSeconds * 1000);
      for (let together = await parts.next(); together; together = await parts.next()) {
        let urgency: Urgency = 'not';
        for (const part of together) {
          if (run.isHeld) await run.mayGoOn();
          run.abort.signal.throwIfAborted();
          urgency = sooner(urgency, run.take(part));
          if (part.type !== 'state-change') continue;
          this.checkpoints.add(run, urgency);
          urgency = 'not';
          phase = await this.enter(part.phase, phase, turn, run, actor);
        }
        this.checkpoints.add(run, urgency);
      }
      run.draft.assertFinished();
      ending = { status: 'DONE' };
    } catch (error) {
      if (run.fenced) return;
      ending = { status: 'ERROR', errorDetail: safeDetail(error) };
      logger.warn({ err: error, conversationId, replyId }, 'a reply ended in an error');
    } finally {
      parts?.leave();
      operation?.end();
      end();
    }
    await run.mayGoOn();
    const { usage, handoff } = run.draft;
    await this.settle(run, { ...ending, usage, handoff: handoff && { id: this.options.newId(), ...handoff } }, actor);
    if (usage) await this.options.onUsage?.(conversationId, usage.inputTokens + usage.outputTokens);
  }

  /** Changes to a phase that the present one allows, and returns it. */
  private async enter(next: string, phase: string | null, turn: Turn, run: Run, actor: Author): Promise<string> {
    const { conversationId, replyId } = run;
    if (!turn.playbook || !nextPhases(turn.playbook, phase).some(({ name }) => name === next)) {
      throw new BadPartError('The agent asked for a phase that its present one does not lead to.');
    }
    const reply = { conversationId, replyId, actor };
    const reached = await this.untilDone(run, 'change the phase', () =>
      steerReply(this.options.pool, reply, { phase: next }),
    );
    run.abort.signal.throwIfAborted();
    if (reached === null) run.fence();
    else this.options.bus.publish({ kind: 'log', conversationId, ...reached });
    return next;
  }

  private async settle(run: Run, ending: Ending, actor: Author): Promise<void> {
    const { conversationId, replyId } = run;
    const reached = await this.untilDone(
      run,
      'settle a reply',
      async () => {
        const reply = { conversationId, replyId, actor };
        const whole = ending.handoff ? null : this.checkpoints.takeWhole(run);
        if (whole) return settleWhole(this.options.pool, reply, ending, whole);
        await this.checkpoints.flush(run);
        // Only this run has stored any of it.
        if (!run.mayHaveChunks && !ending.handoff) return settleWhole(this.options.pool, reply, ending);
        return inTransaction(this.options.pool, (db) => settleReply(db, reply, ending));
      },
      run.fencing,
    );
    if (reached === null) return;
    run.settled();
    const moved = ending.handoff ? ({ moved: true } as const) : {};
    this.options.bus.publish({ kind: 'log', conversationId, ...reached, settled: replyId, ...moved });
  }

  /** Retries until the database succeeds. Null if the run was given up meanwhile. */
  private async untilDone<T>(
    run: Run,
    what: string,
    attempt: () => Promise<T>,
    signal = run.abort.signal,
  ): Promise<T | null> {
    const { conversationId, replyId } = run;
    const onFailure = (error: unknown) =>
      this.options.logger.warn({ err: error, conversationId, replyId }, `could not ${what}; trying again`);
    try {
      return await retry(attempt, { signal, onFailure });
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  }
}

/** The server is shutting down. */
class ShutdownError extends Error {
  override name = 'ShutdownError';
}

function safeDetail(error: unknown): string {
  const goOn = 'The text so far is kept; send again to go on.';
  if (error instanceof ShutdownError) return `The server was shut down while it generated this reply. ${goOn}`;
  if (error instanceof SilenceError) return `The agent took too long to answer. ${goOn}`;
  if (error instanceof BadPartError) return error.message;
  if (error instanceof RuntimeError) return `${error.message} ${goOn}`;
  return `The agent failed while it generated this reply. ${goOn}`;
}
