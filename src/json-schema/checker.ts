import type { Worker } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import { UnavailableError } from '../errors.ts';
import type { Json } from '../json.ts';
import type { Logger } from '../logger.ts';
import { startWorker } from '../worker-thread.ts';
import type { SchemaAnswer, SchemaMessage, SchemaRequest, ValueFault } from './protocol.ts';

/** Limits of one check, and of how many may wait. */
export const checkLimits = {
  milliseconds: 2000,
  /** Memory of the whole worker. */
  megabytes: 128,
  /** In bytes of JSON. */
  valueBytes: 1024 * 1024,
  waiting: 1000,
  /** How long a check may wait for its turn, in milliseconds. */
  waitingMilliseconds: 10_000,
} as const;

/** A schema cannot be used, or not within the limits. The message says why, as a sentence without a subject. */
export class SchemaError extends Error {
  override name = 'SchemaError';
}

interface Check {
  request: SchemaRequest;
  resolve(answer: SchemaAnswer): void;
  reject(error: Error): void;
  /** Ends the wait for its turn. */
  deadline: NodeJS.Timeout;
}

type Limits = { [name in keyof typeof checkLimits]: number };

/**
 * Checks values against operators' JSON Schemas (draft 2020-12), in a worker with limits on time and memory. A check
 * that exceeds them fails alone, and the worker is replaced. Checks of different schemas take turns.
 */
export class SchemaChecker {
  private readonly logger: Logger;
  private readonly limits: Limits;
  private worker: Worker | null = null;
  private ready = false;
  private running: { check: Check; timer: NodeJS.Timeout } | null = null;
  /** Keyed by the text of the schema. The schema whose turn is next comes first. */
  private readonly waiting = new Map<string, Check[]>();
  private waitingCount = 0;
  private lastId = 0;
  /** Requests that wait for an answer. Identical requests share it. */
  private readonly asked = new Map<string, Promise<SchemaAnswer>>();
  /** Cached answers to small requests, which are often repeated. */
  private readonly known = new LRUCache<string, SchemaAnswer>({
    max: 1000,
    maxSize: 1_000_000,
    maxEntrySize: 8192,
    sizeCalculation: (_answer, key) => key.length,
  });
  private closed = false;

  /** The worker starts with the first check. */
  constructor(logger: Logger, limits: Partial<Limits> = {}) {
    this.logger = logger;
    this.limits = { ...checkLimits, ...limits };
  }

  /** Why this schema must not be written, as a sentence without a subject, or null. Throws `UnavailableError`. */
  async faultOf(schema: object): Promise<string | null> {
    try {
      return (await this.ask(JSON.stringify(schema))).schemaFault;
    } catch (error) {
      if (error instanceof SchemaError) return error.message;
      throw error;
    }
  }

  /**
   * The first thing that is wrong with a value, or null if it matches.
   * @throws {SchemaError} if the schema cannot be used, or the check exceeds its limits.
   * @throws {UnavailableError} if too many checks wait.
   */
  async check(schema: object, value: Json): Promise<ValueFault | null> {
    const text = JSON.stringify(value);
    if (Buffer.byteLength(text) > this.limits.valueBytes) {
      throw new SchemaError(`Cannot be checked against a value of more than ${this.limits.valueBytes} bytes of JSON.`);
    }
    const { schemaFault, valueFault } = await this.ask(JSON.stringify(schema), text);
    if (schemaFault !== null) throw new SchemaError(schemaFault);
    return valueFault;
  }

  /** Fails all waiting checks. */
  async close(): Promise<void> {
    this.closed = true;
    const gone = new UnavailableError('The server is shutting down. Try again.', 1);
    for (const checks of this.waiting.values()) for (const check of checks) this.fail(check, gone);
    this.waiting.clear();
    await this.drop(gone);
  }

  private async ask(schema: string, value?: string): Promise<SchemaAnswer> {
    const key = value === undefined ? schema : `${schema}\n${value}`;
    const known = this.known.get(key) ?? this.asked.get(key);
    if (known) return known;
    const asking = this.enqueue(schema, value);
    this.asked.set(key, asking);
    try {
      const answer = await asking;
      this.known.set(key, answer);
      return answer;
    } finally {
      this.asked.delete(key);
    }
  }

  private enqueue(schema: string, value?: string): Promise<SchemaAnswer> {
    const checks = this.waiting.get(schema) ?? [];
    // One slow schema must not fill the queue ahead of all others.
    const isFull = this.waitingCount >= this.limits.waiting || checks.length >= this.limits.waiting / 2;
    if (isFull || this.closed) return Promise.reject(tooBusy());
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        checks.splice(checks.indexOf(check), 1);
        if (checks.length === 0) this.waiting.delete(schema);
        this.fail(check, tooBusy());
      }, this.limits.waitingMilliseconds);
      this.lastId += 1;
      const request = { id: this.lastId, schema, ...(value !== undefined && { value }) };
      const check: Check = { request, resolve, reject, deadline };
      checks.push(check);
      this.waiting.set(schema, checks);
      this.waitingCount += 1;
      this.next();
    });
  }

  private fail(check: Check, error: Error): void {
    clearTimeout(check.deadline);
    this.waitingCount -= 1;
    check.reject(error);
  }

  /** Gives the worker the check that has waited longest for the schema whose turn it is. */
  private next(): void {
    if (this.running) return;
    const [turn] = this.waiting;
    if (!turn) return;
    const worker = (this.worker ??= this.start());
    if (!this.ready) return;
    const [schema, checks] = turn;
    const check = checks.shift();
    this.waiting.delete(schema);
    if (checks.length > 0) this.waiting.set(schema, checks);
    if (!check) return;
    clearTimeout(check.deadline);
    this.waitingCount -= 1;
    const { milliseconds } = this.limits;
    const timer = setTimeout(() => {
      // If this thread was busy, the answer may have arrived already.
      setImmediate(() => {
        if (this.running?.check !== check) return;
        void this.drop(
          new SchemaError(`Takes longer than ${milliseconds} ms to check: make the schema or the value simpler.`),
        );
      });
    }, milliseconds);
    this.running = { check, timer };
    worker.postMessage(check.request);
  }

  private start(): Worker {
    const { megabytes } = this.limits;
    const limits = { maxOldGenerationSizeMb: megabytes, maxYoungGenerationSizeMb: 16, stackSizeMb: 4 };
    const worker = startWorker('json-schema/worker', {}, limits);
    worker.unref();
    worker.on('message', (message: SchemaMessage) => {
      if (worker !== this.worker) return;
      if (message === 'ready') this.ready = true;
      else this.finish(message);
      this.next();
    });
    worker.on('error', (error: Error & { code?: string }) => {
      if (worker !== this.worker) return;
      const hasRunOut = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      if (!hasRunOut) this.logger.error({ err: error }, 'the worker that checks JSON Schemas failed');
      const detail = hasRunOut
        ? `Takes more than ${megabytes} MB of memory to check: make the schema or the value simpler.`
        : 'Cannot be checked: the check itself failed.';
      void this.drop(new SchemaError(detail));
    });
    worker.on('exit', () => {
      if (worker === this.worker) void this.drop(new SchemaError('Cannot be checked: the check itself ended.'));
    });
    return worker;
  }

  private finish(answer: SchemaAnswer): void {
    if (this.running?.check.request.id !== answer.id) return;
    clearTimeout(this.running.timer);
    this.running.check.resolve(answer);
    this.running = null;
  }

  /** Ends the worker and fails its current check. Waiting checks go to the next worker. */
  private async drop(error: Error): Promise<void> {
    const { worker, running, ready } = this;
    this.worker = null;
    this.ready = false;
    this.running = null;
    if (running) {
      clearTimeout(running.timer);
      running.check.reject(error);
      if (error instanceof SchemaError) this.logger.warn({ err: error }, 'ended the check of a JSON Schema');
    }
    // Does not restart a worker that cannot start. Waiting checks are refused when their time is over.
    if (ready && !this.closed) this.next();
    await worker?.terminate();
  }
}

const tooBusy = () =>
  new UnavailableError('Too many checks of JSON Schemas are waiting. Nothing was done. Try again.', 1);
