import type { LogTail } from './conversations/lists/log-tail.ts';
import type { FeedRegistry } from './conversations/stream/feed-registry.ts';
import type { Runner } from './generation/runner.ts';
import type { JobWorkers } from './jobs/workers.ts';
import type { HttpServer } from './server.ts';
import type { Shutdown } from './shutdown-deadline.ts';

/** How long readers may take to receive the last events before the sockets are closed, in milliseconds. */
const LAST_EVENTS_MS = 1000;
/** The part of a shutdown reserved for everything after the replies, in milliseconds: the last events, the sockets, the rest. */
const AFTER_REPLIES_MS = 4000;
/** The part of the time for replies reserved for storing those that did not finish, in milliseconds. */
const SETTLE_MS = 3000;

export interface Serving {
  server: Pick<HttpServer, 'drain' | 'stopAccepting' | 'accepted' | 'close'>;
  runner: Runner;
  jobs: Pick<JobWorkers, 'stop'>;
  feedRegistry: FeedRegistry;
  logTail: LogTail;
  /** How long new work is still accepted, so that load balancers notice first. */
  drainSeconds: number;
  /** How long running replies may still take. */
  graceSeconds: number;
}

/**
 * What SIGTERM does, in order: says that it is not ready, drains, accepts nothing more, lets running replies and quick jobs end,
 * settles the other replies and gives the other jobs back, tells followers the last events, closes the sockets. What the start opened is closed afterwards, last one first.
 */
export async function stopServing(
  { server, runner, jobs, feedRegistry, logTail, drainSeconds, graceSeconds }: Serving,
  shutdown: Shutdown,
): Promise<void> {
  const spare = () => shutdown.remainingMs - SETTLE_MS - AFTER_REPLIES_MS;
  server.drain();
  if (shutdown.drain) await shutdown.patiently(never, Math.min(drainSeconds * 1000, spare()));
  server.stopAccepting();
  const limits = { graceMs: Math.min(graceSeconds * 1000, spare()), settleMs: SETTLE_MS };
  await Promise.all([
    runner.stop(shutdown, { operations: server.accepted.idle(), ...limits }),
    jobs.stop(shutdown, limits),
  ]);
  await feedRegistry.drain(LAST_EVENTS_MS);
  logTail.close();
  await server.close();
  // Closed after the sockets, because a stream that ended before them would look complete.
  feedRegistry.close();
}

const never = new Promise<void>(() => undefined);
