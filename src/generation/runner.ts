import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Runtime } from '../agents/runtime.ts';
import type { ReplyRunner } from '../conversations/services.ts';
import { type Ending, settleReply } from '../conversations/settle.ts';
import { inTransaction } from '../db.ts';
import type { Bus, Hint, HintListener } from '../events/bus.ts';
import type { Logger } from '../observability.ts';
import { Checkpoints } from './checkpoints.ts';
import { BadPartError } from './draft.ts';
import type { Lease } from './lease.ts';
import { Run } from './run.ts';
import { loadTurn } from './turn.ts';

export interface RunnerOptions {
  pool: pg.Pool;
  bus: Bus;
  lease: Lease;
  log: Logger;
  runtimes: { get(name: string): Runtime | undefined };
}

/** Drives the replies of this server: takes the parts of their runtimes, publishes and stores them, and settles each once. */
export class Runner implements ReplyRunner, HintListener {
  private readonly options: RunnerOptions;
  private readonly checkpoints: Checkpoints;
  private readonly runs = new Map<string, { run: Run; ended: Promise<void> }>();
  private readonly unsubscribe: () => void;

  constructor(options: RunnerOptions) {
    this.options = options;
    this.checkpoints = new Checkpoints(options);
    this.unsubscribe = options.bus.subscribe(this);
  }

  start(reply: { conversationId: string; replyId: string }): void {
    const run = new Run(reply);
    const ended = this.drive(run).finally(() => this.runs.delete(run.replyId));
    this.runs.set(run.replyId, { run, ended });
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
    // A settlement missed meanwhile shows at the next checkpoint.
  }

  /** The replies are no longer this server's: drop them all. */
  fenceAll(): void {
    for (const { run } of this.runs.values()) run.fence();
  }

  /** Gives running replies this long to end by themselves, then settles them with the text they have. */
  async stop(graceMs: number): Promise<void> {
    const ended = Promise.allSettled([...this.runs.values()].map((entry) => entry.ended));
    const timer = new AbortController();
    await Promise.race([ended, sleep(graceMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
    for (const { run } of this.runs.values()) {
      run.resume();
      run.abort.abort(new ShutdownError());
    }
    await ended;
    this.unsubscribe();
    this.checkpoints.stop();
  }

  private async drive(run: Run): Promise<void> {
    let ending: Ending;
    let agentId: string | undefined;
    try {
      const loaded = await loadTurn(this.options.pool, run.replyId);
      if (!loaded) return;
      agentId = loaded.agentId;
      const runtime = this.options.runtimes.get(loaded.runtime);
      if (!runtime) throw new BadPartError(`This server has no runtime named ${loaded.runtime}.`);
      for await (const part of untilAborted(runtime.reply(loaded.turn, run.abort.signal), run.abort.signal)) {
        await run.mayGoOn();
        run.abort.signal.throwIfAborted();
        const urgency = run.take(part);
        if (urgency !== 'not') this.checkpoints.add(run, urgency);
      }
      run.draft.assertFinished();
      ending = { status: 'DONE', usage: run.draft.usage };
    } catch (error) {
      if (run.fenced) return;
      ending = { status: 'ERROR', errorDetail: safeDetail(error) };
      const { conversationId, replyId } = run;
      this.options.log.warn({ err: error, conversationId, replyId }, 'a reply ended in an error');
    }
    await run.mayGoOn();
    await this.settle(run, ending, agentId);
  }

  /** Tries until the reply is settled, by this run or by another. */
  private async settle(run: Run, ending: Ending, agentId: string | undefined): Promise<void> {
    const { conversationId, replyId } = run;
    const actor = { kind: 'AI_AGENT', agentId: agentId ?? null } as const;
    for (let wait = 100; !run.fenced; wait = Math.min(wait * 2, 2000)) {
      try {
        await this.checkpoints.flush(run);
        const version = await inTransaction(this.options.pool, (db) =>
          settleReply(db, { conversationId, replyId, actor }, ending),
        );
        if (version !== null) {
          this.options.bus.publish({ kind: 'log', conversationId, version, settled: replyId });
        }
        return;
      } catch (error) {
        this.options.log.warn({ err: error, conversationId, replyId }, 'could not settle a reply; trying again');
        await sleep(wait);
      }
    }
  }
}

/** Ends with the signal's reason even when the source does not heed it, and lets other work in when the source never waits. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let giveUp: ((reason: unknown) => void) | undefined;
  signal.addEventListener('abort', () => giveUp?.(signal.reason), { once: true });
  let breath = performance.now();
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        giveUp = reject;
        iterator.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
      if (performance.now() - breath > 10) {
        await setImmediate();
        breath = performance.now();
      }
    }
  } finally {
    // Not awaited: a source that hangs would hang its end too.
    iterator.return?.().then(undefined, () => undefined);
  }
}

/** This server is told to terminate. */
class ShutdownError extends Error {
  override name = 'ShutdownError';
}

function safeDetail(error: unknown): string {
  if (error instanceof ShutdownError) {
    return 'The server was shut down while it generated this reply. The text so far is kept; send again to go on.';
  }
  if (error instanceof BadPartError) return error.message;
  return 'The agent failed while it generated this reply. The text so far is kept; send again to go on.';
}
