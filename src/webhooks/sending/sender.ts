import type { Pool } from '../../db.ts';
import { FairGate } from '../../fair-gate.ts';
import { encodeId } from '../../ids.ts';
import type { Logger } from '../../logger.ts';
import type { PayloadMaker } from '../model.ts';
import { type Batch, type DueDelivery, readBatch } from './batch.ts';
import type { Endpoints } from './endpoint.ts';
import { claimLanes, type Lane, releaseLane } from './lanes.ts';
import { bodiesOf, type Body, readBody } from './payloads.ts';
import { Recorder, switchOff } from './recorder.ts';
import { delayAfter } from './schedule.ts';
import { signedHeaders } from './signature.ts';

/** How long a lane is worked on before others that wait have their turn, in milliseconds. */
const TURN_MS = 2000;

/** After a try that took so long, in milliseconds, what is due is read again: the webhook may have changed. */
const SLOW_MS = 1000;

/** How long a lane rests after a fault of this server or its database, in milliseconds. */
const REST_MS = 5000;

/** How many statements and payloads are under way at the same time. */
const AT_ONCE = 4;

interface Options {
  pool: Pool;
  logger: Logger;
  payloads: PayloadMaker;
  endpoints: Endpoints;
  serverId: () => string;
  /** Room for a lane has come free. */
  onFree: () => void;
}

/** `restMs`: how long it is to rest when it is given back. */
type HeldLane = Lane & { owner: string; restMs: number };

/**
 * Sends what is due. A lane belongs to one server at a time, and in it one try follows the other: so the first tries of a
 * conversation go in the order of the log, and an endpoint is asked at most as often at once as it has lanes.
 */
export class Sender {
  private readonly options: Options;
  private readonly recorder: Recorder;
  private readonly gate = new FairGate(AT_ONCE);
  private readonly working = new Map<string, HeldLane>();
  /** Lanes that could not be given back because of a fault. */
  private readonly kept = new Map<string, HeldLane>();
  private closed = false;
  private isBrokenOff = false;
  private onIdle: () => void = () => undefined;

  constructor(options: Options) {
    this.options = options;
    this.recorder = new Recorder(options.pool, options.logger);
  }

  /** Takes on what is due, as far as there is room. */
  async claim(): Promise<void> {
    if (this.closed) return;
    for (const lane of [...this.kept.values()]) await this.release(lane);
    const owner = this.options.serverId();
    for (const lane of await claimLanes(this.options.pool, owner, this.working.values())) {
      const held = { ...lane, owner, restMs: 0 };
      this.working.set(nameOf(held), held);
      this.kept.delete(nameOf(held));
      void this.workOn(held);
    }
  }

  /** Takes nothing on. What is being sent has some time; then it is broken off, and other servers send it again. */
  async close(graceMs: number): Promise<void> {
    this.closed = true;
    if (this.working.size > 0) {
      const timer = setTimeout(() => void this.breakOff(), graceMs);
      await new Promise<void>((resolve) => (this.onIdle = resolve));
      clearTimeout(timer);
    }
    await this.options.endpoints.close();
  }

  private breakOff(): Promise<void> {
    this.isBrokenOff = true;
    return this.options.endpoints.close();
  }

  /** Never rejects. */
  private async workOn(lane: HeldLane): Promise<void> {
    const endsAt = performance.now() + TURN_MS;
    try {
      while (!this.closed && performance.now() < endsAt && (await this.sendBatch(lane, endsAt)));
    } catch (error) {
      lane.restMs = REST_MS;
      this.options.logger.warn({ err: error, webhookId: lane.webhookId }, 'could not send webhooks; trying again');
    }
    await this.release(lane);
    this.working.delete(nameOf(lane));
    if (this.working.size === 0) this.onIdle();
    this.options.onFree();
  }

  private async release(lane: HeldLane): Promise<void> {
    try {
      await releaseLane(this.options.pool, lane.owner, lane, lane.restMs);
      this.kept.delete(nameOf(lane));
    } catch (error) {
      this.kept.set(nameOf(lane), lane);
      this.options.logger.debug({ err: error }, 'could not give a lane of a webhook back; trying again');
    }
  }

  /** Returns whether there may be more. Ends with the first try that ends after `endsAt`, by this process's clock. */
  private async sendBatch(lane: HeldLane, endsAt: number): Promise<boolean> {
    const { pool, payloads, logger } = this.options;
    const batch = await this.gate.run(lane.organizationId, () => readBatch(pool, lane));
    if (!batch || batch.due.length === 0) return false;
    if (!batch.viewer) {
      const reason = 'The API key whose rights it reads with was revoked or has expired. Another key may adopt it.';
      await switchOff(pool, lane.webhookId, reason);
      logger.warn({ webhookId: lane.webhookId, reason }, 'a webhook was switched off');
      return false;
    }
    const bodies = await bodiesOf({ pool, payloads, gate: this.gate }, lane, batch);
    const records: Promise<void>[] = [];
    try {
      for (const delivery of batch.due) {
        if (this.closed) return false;
        const began = performance.now();
        const body = delivery.made
          ? await this.gate.run(lane.organizationId, () => readBody(pool, delivery.id))
          : bodies.get(delivery.id);
        if (!body) continue;
        const gone = await this.tryOnce(lane, batch, delivery, body, records);
        if (gone) return false;
        const now = performance.now();
        if (now >= endsAt || now - began >= SLOW_MS) return true;
      }
    } finally {
      this.recorder.flush();
      await Promise.all(records);
    }
    return true;
  }

  /** Returns whether the endpoint wants nothing more. */
  private async tryOnce(
    { webhookId }: Lane,
    { url, keys }: Batch,
    { id, tries }: DueDelivery,
    made: Body,
    records: Promise<void>[],
  ): Promise<boolean> {
    const at = new Date();
    const began = performance.now();
    const record = (
      statusCode: number | null,
      error: string | null,
      rest: { delayMs: number | null; wasAsked: boolean; gone: boolean },
    ) => {
      const attempt = { at: at.toISOString(), statusCode, milliseconds: Math.round(performance.now() - began), error };
      const stored = this.recorder.add({ id, webhookId, attempt, ...rest });
      // It is awaited with the others, and may fail before that.
      stored.catch(() => undefined);
      records.push(stored);
    };
    if ('fault' in made) {
      record(null, made.fault, {
        delayMs: made.forGood ? null : delayAfter(tries + 1, null),
        wasAsked: false,
        gone: false,
      });
      return false;
    }
    const headers = signedHeaders(encodeId('WebhookDelivery', id), Math.floor(at.getTime() / 1000), made.body, keys);
    const outcome = await this.options.endpoints.send(url, made.body, headers);
    // Broken off by the end of this server: as if it had not been tried.
    if (!outcome.delivered && this.isBrokenOff) return false;
    const { statusCode, error, gone, retryAfter } = outcome;
    record(statusCode, error, { delayMs: gone ? null : delayAfter(tries + 1, retryAfter), wasAsked: true, gone });
    return gone;
  }
}

function nameOf({ webhookId, lane }: Lane): string {
  return `${webhookId}/${lane}`;
}
