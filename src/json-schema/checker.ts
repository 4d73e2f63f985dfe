import type { Worker } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import { UnavailableError } from '../errors.ts';
import type { Json } from '../json.ts';
import type { Logger } from '../logger.ts';
import { startWorker } from '../worker-thread.ts';
import { FairQueue } from '../fair-queue.ts';
import type { SchemaAnswer, SchemaMessage, SchemaRequest, ValueFault } from './protocol.ts';

/** Limits of one check, and of how many may wait. */
export const checkLimits = {
  milliseconds: 2000,
  /** Memory of the whole worker. */
  megabytes: 128,
  /** In bytes of JSON. */
  valueBytes: 1024 * 1024,
  waiting: 1000,
  /** Of one organization, and of the server itself. Of one schema, half as many. */
  waitingOfOrganization: 100,
  /** Schemas and values that wait for one organization, in UTF-16 code units of JSON. */
  waitingText: 16 * 1024 * 1024,
  /** How long a check may wait for its turn, in milliseconds. */
  waitingMilliseconds: 10_000,
} as const;

/** A schema cannot be used, or not within the limits. The message says why, as a sentence without a subject. */
export class SchemaError extends Error {
  override name = 'SchemaError';
}

/** Whom a check is made for, by row id. Null: the server itself. */
type Asker = string | null;

interface Check {
  request: SchemaRequest;
  /** Names of the lines it waits in. */
  lines: [asker: string, schema: string];
  resolve(answer: SchemaAnswer): void;
  reject(error: Error): void;
  /** Ends the wait for its turn. */
  deadline: NodeJS.Timeout;
}

type Limits = { [name in keyof typeof checkLimits]: number };

/**
 * Checks values against operators' JSON Schemas (draft 2020-12), in a worker with limits on time and memory. A check
 * that exceeds them fails alone, and the worker is replaced. Organizations take turns, and so do the schemas of each.
 */
export class SchemaChecker {
  private readonly logger: Logger;
  private readonly limits: Limits;
  private worker: Worker | null = null;
  private ready = false;
  private running: { check: Check; timer: NodeJS.Timeout } | null = null;
  /** In lines by organization, and below by the text of the schema. */
  private readonly waiting = new FairQueue<Check>();
  /** Code units that wait, by organization. */
  private readonly waitingText = new Map<string, number>();
  private lastId = 0;
  /** Requests that wait for an answer. Identical requests of an organization share it: others must not wait for its turn. */
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
  async faultOf(asker: Asker, schema: object): Promise<string | null> {
    try {
      return (await this.ask(asker, JSON.stringify(schema))).schemaFault;
    } catch (error) {
      if (error instanceof SchemaError) return error.message;
      throw error;
    }
  }

  /**
   * The first thing that is wrong with a value, or null if it matches.
   * @throws {SchemaError} if the schema cannot be used, or the check exceeds its limits.
   * @throws {UnavailableError} if too many checks wait, of all or of the asker.
   */
  async check(asker: Asker, schema: object, value: Json): Promise<ValueFault | null> {
    const text = JSON.stringify(value);
    if (Buffer.byteLength(text) > this.limits.valueBytes) {
      throw new SchemaError(`Cannot be checked against a value of more than ${this.limits.valueBytes} bytes of JSON.`);
    }
    const { schemaFault, valueFault } = await this.ask(asker, JSON.stringify(schema), text);
    if (schemaFault !== null) throw new SchemaError(schemaFault);
    return valueFault;
  }

  /** Fails all waiting checks. */
  async close(): Promise<void> {
    this.closed = true;
    const gone = new UnavailableError('The server is shutting down. Try again.', 1);
    for (let check = this.waiting.take(); check; check = this.waiting.take()) {
      this.left(check);
      check.reject(gone);
    }
    await this.drop(gone);
  }

  private async ask(asker: Asker, schema: string, value?: string): Promise<SchemaAnswer> {
    const key = value === undefined ? schema : `${schema}\n${value}`;
    const known = this.known.get(key);
    if (known) return known;
    const shared = `${asker ?? ''}\n${key}`;
    const asked = this.asked.get(shared);
    if (asked) return asked;
    const asking = this.enqueue(asker ?? '', schema, value);
    this.asked.set(shared, asking);
    try {
      const answer = await asking;
      this.known.set(key, answer);
      return answer;
    } finally {
      this.asked.delete(shared);
    }
  }

  private enqueue(asker: string, schema: string, value?: string): Promise<SchemaAnswer> {
    this.lastId += 1;
    const request = { id: this.lastId, schema, ...(value !== undefined && { value }) };
    if (this.closed || this.isFull(asker, request)) return Promise.reject(tooBusy());
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        if (!this.waiting.remove(check.lines, check)) return;
        this.left(check);
        reject(tooBusy());
      }, this.limits.waitingMilliseconds);
      const check: Check = { request, lines: [asker, schema], resolve, reject, deadline };
      this.waiting.add(check.lines, check);
      this.waitingText.set(asker, (this.waitingText.get(asker) ?? 0) + textOf(request));
      this.next();
    });
  }

  private isFull(asker: string, request: SchemaRequest): boolean {
    const { waiting, waitingOfOrganization, waitingText } = this.limits;
    return (
      this.waiting.size >= waiting ||
      this.waiting.sizeOf([asker]) >= waitingOfOrganization ||
      this.waiting.sizeOf([asker, request.schema]) >= waitingOfOrganization / 2 ||
      (this.waitingText.get(asker) ?? 0) + textOf(request) > waitingText
    );
  }

  /** A check no longer waits. */
  private left({ request, lines: [asker], deadline }: Check): void {
    clearTimeout(deadline);
    const text = (this.waitingText.get(asker) ?? 0) - textOf(request);
    if (text > 0) this.waitingText.set(asker, text);
    else this.waitingText.delete(asker);
  }

  /** Gives the worker the check whose turn it is. */
  private next(): void {
    if (this.running || this.waiting.size === 0) return;
    const worker = (this.worker ??= this.start());
    if (!this.ready) return;
    const check = this.waiting.take();
    if (!check) return;
    this.left(check);
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

/** How long a request is, in UTF-16 code units. */
const textOf = ({ schema, value = '' }: SchemaRequest) => schema.length + value.length;
