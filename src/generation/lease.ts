import type { Worker } from 'node:worker_threads';
import { UnavailableError } from '../errors.ts';
import type { NewId } from '../ids.ts';
import type { Logger } from '../logger.ts';
import { startWorker } from '../worker-thread.ts';
import type { FromLeaseWorker, LeaseWorkerData, ToLeaseWorker } from './lease-protocol.ts';

/** A main loop that answers later than this is logged, in milliseconds. */
const LAG_MS = 1000;

export interface LeaseOptions {
  databaseUrl: string;
  /** How long other servers wait for a sign of life, in seconds. */
  seconds: number;
  newId: NewId;
  logger: Logger;
  /** Called when other servers have declared this server dead. Its replies no longer belong to it. */
  onLost: () => void;
  /** Called when the main loop was blocked for this many milliseconds. */
  onLag?: (milliseconds: number) => void;
  /** The process is ended after the main loop has been blocked for this many seconds. Default: 15. */
  hungSeconds?: number;
}

/**
 * This server's claim to be alive: one row, which changes three times per lease. Replies name the server that generates them,
 * and any server ends the replies of a server whose row stops changing. A worker renews it as long as the main loop
 * is responsive.
 */
export class Lease {
  readonly seconds: number;
  private readonly options: LeaseOptions;
  private readonly heldUntil = new BigInt64Array(new SharedArrayBuffer(8));
  private id: string;
  private worker: Worker | null = null;
  private restart: NodeJS.Timeout | null = null;
  /** Ends the wait for the first answer. */
  private first: { resolve(): void; reject(error: Error): void } | null = null;
  private stopped: (() => void) | null = null;
  private isStopping = false;

  constructor(options: LeaseOptions) {
    this.options = options;
    this.seconds = options.seconds;
    this.id = options.newId();
  }

  /** Changes when the lease is lost and taken again. */
  get serverId(): string {
    return this.id;
  }

  /** False once other servers may consider this server dead. It must then neither publish nor start replies. */
  isHeld(): boolean {
    return process.hrtime.bigint() < Atomics.load(this.heldUntil, 0);
  }

  /** This server's id as the owner of new replies. Throws `UnavailableError` while the lease is not held. */
  claimant(): string {
    if (this.isHeld()) return this.id;
    throw new UnavailableError(
      'This server has lost touch with its database and takes nothing on. Nothing was done. Try again.',
      Math.max(1, Math.ceil(this.seconds / 3)),
    );
  }

  /** Resolves when the lease is held. Rejects if the database cannot be reached. */
  async start(): Promise<void> {
    const first = new Promise<void>((resolve, reject) => (this.first = { resolve, reject }));
    this.open();
    await first;
  }

  /** Gives the lease back, or lets it expire if the database does not answer in time. */
  async stop(): Promise<void> {
    this.isStopping = true;
    if (this.restart) clearTimeout(this.restart);
    const { worker } = this;
    if (!worker) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.stopped = resolve;
      timer = setTimeout(resolve, 2 * this.seconds * 1000);
      this.tell({ type: 'stop' });
    });
    clearTimeout(timer);
    this.worker = null;
    await worker.terminate();
  }

  private open(): void {
    const { databaseUrl, hungSeconds = 15 } = this.options;
    const { buffer: heldUntil } = this.heldUntil;
    const data: LeaseWorkerData = { databaseUrl, leaseSeconds: this.seconds, hungSeconds, heldUntil };
    const worker = startWorker('generation/lease-worker', data);
    this.worker = worker;
    worker.on('message', (message: FromLeaseWorker) => this.hear(message));
    worker.on('error', (error) => this.options.logger.error({ err: error }, 'the worker that renews the lease failed'));
    worker.on('exit', () => {
      this.stopped?.();
      this.first?.reject(new Error('The worker that renews the lease ended.'));
      if (this.worker !== worker || this.isStopping) return;
      this.worker = null;
      this.restart = setTimeout(() => this.open(), (this.seconds * 1000) / 10);
    });
    this.tell({ type: 'take', id: this.id });
  }

  private tell(message: ToLeaseWorker): void {
    this.worker?.postMessage(message);
  }

  private hear(message: FromLeaseWorker): void {
    const { logger, newId, onLost, onLag } = this.options;
    switch (message.type) {
      case 'held':
        this.first?.resolve();
        this.first = null;
        return;
      case 'lost':
        logger.warn('others have declared this server dead; its replies were settled');
        onLost();
        this.id = newId();
        this.tell({ type: 'take', id: this.id });
        return;
      case 'failed':
        this.first?.reject(new Error(`Cannot take a lease: ${message.message}`));
        this.first = null;
        logger.warn({ reason: message.message }, 'could not renew the lease');
        return;
      case 'stopped':
        this.stopped?.();
        return;
      case 'ask': {
        this.tell({ type: 'answer' });
        const lag = Number((process.hrtime.bigint() - message.at) / 1_000_000n);
        if (lag > LAG_MS) onLag?.(lag);
      }
    }
  }
}
