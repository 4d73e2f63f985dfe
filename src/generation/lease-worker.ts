import { write } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { LeaseConnection } from './lease-connection.ts';
import { type FromLeaseWorker, isLeaseWorkerData, type ToLeaseWorker } from './lease-protocol.ts';
import { ASK_EVERY_MS, MainLoopWatch } from './main-loop-watch.ts';
import { Renewal } from './renewal.ts';

// Runs in a thread of its own, so that a busy main loop does not lose the lease, and with it all running replies.

const port = parentPort;
const given: unknown = workerData;
if (!port || !isLeaseWorkerData(given)) throw new Error('This module runs as a worker.');
const { databaseUrl, leaseSeconds, hungSeconds, heldUntil } = given;
const held = new BigInt64Array(heldUntil);
const leaseMs = leaseSeconds * 1000;
const connection = new LeaseConnection(databaseUrl, leaseMs / 2);
const renewal = new Renewal((statement) => connection.run(statement), leaseSeconds);
const say = (message: FromLeaseWorker) => port.postMessage(message);

let renewing: Promise<void> | null = null;
const renew = () => (renewing ??= tryRenew().finally(() => (renewing = null)));
const renewTimer = setInterval(() => void renew(), leaseMs / 3);

async function tryRenew(): Promise<void> {
  // Counted from before the request: other servers may have seen the row change at any time after that.
  const asked = process.hrtime.bigint();
  try {
    const outcome = await renewal.renew();
    if (outcome === 'NAMELESS') return;
    Atomics.store(held, 0, outcome === 'HELD' ? asked + BigInt(leaseMs) * 1_000_000n : 0n);
    say({ type: outcome === 'HELD' ? 'held' : 'lost' });
  } catch (error) {
    say({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
  }
}

const watch = new MainLoopWatch({
  ask: () => say({ type: 'ask', at: process.hrtime.bigint() }),
  limitMs: hungSeconds * 1000,
  now: performance.now(),
});
const watchTimer = setInterval(() => {
  if (watch.tick(performance.now())) endProcess();
}, ASK_EVERY_MS);

/** A hung server must not keep its conversations busy. The main thread can neither log this nor be asked to exit. */
function endProcess(): void {
  clearInterval(watchTimer);
  const msg = `the event loop has not turned for ${hungSeconds} s: ending the process, so that other servers settle its replies`;
  const line = `${JSON.stringify({ level: 'fatal', time: new Date().toISOString(), msg })}\n`;
  const end = () => process.kill(process.pid, 'SIGKILL');
  // Does not wait for a pipe that nobody reads.
  setTimeout(end, 1000);
  write(2, line, end);
}

port.on('message', (message: ToLeaseWorker) => {
  switch (message.type) {
    case 'take':
      renewal.take(message.id);
      // A renewal under way was for the previous id.
      void (renewing ?? Promise.resolve()).then(renew);
      return;
    case 'answer':
      watch.answered();
      return;
    case 'stop':
      clearInterval(renewTimer);
      clearInterval(watchTimer);
      void stop();
  }
});

async function stop(): Promise<void> {
  await renewing;
  Atomics.store(held, 0, 0n);
  await renewal.giveBack().catch((error: unknown) => say({ type: 'failed', message: String(error) }));
  connection.close();
  say({ type: 'stopped' });
  port?.close();
}
