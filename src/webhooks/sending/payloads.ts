import type { Pool } from '../../db.ts';
import { type LogEventInPlace, readEventsBySeq } from '../../conversations/log/read.ts';
import type { FairGate } from '../../fair-gate.ts';
import { encodeId } from '../../ids.ts';
import { nameOfEvent, TEST_EVENT } from '../event-names.ts';
import { type PayloadMaker, webhookLimits } from '../model.ts';
import type { Batch, DueDelivery } from './batch.ts';
import type { Lane } from './lanes.ts';

/** Payloads of one batch hold about this many bytes at most. What follows waits for the next batch. */
const BATCH_BYTES = 512 * 1024;

/** What is sent, or why it cannot be made: for now, or for good. */
export type Body = { body: string } | { fault: string; forGood: boolean };

interface Options {
  pool: Pool;
  payloads: PayloadMaker;
  gate: FairGate;
}

/**
 * What the deliveries of a batch are sent, by id. A payload is made once, and stored before it is sent, so that each try sends the
 * same bytes. A delivery whose event is gone with its conversation is removed. The map may lack the last deliveries of a batch.
 */
export async function bodiesOf(
  { pool, payloads, gate }: Options,
  lane: Lane,
  batch: Batch,
): Promise<Map<string, Body>> {
  const fresh = batch.due.filter(({ made }) => !made);
  const seqs = fresh.flatMap(({ seq }) => seq ?? []);
  const events =
    seqs.length > 0
      ? await gate.run(lane.organizationId, () => readEventsBySeq(pool, seqs))
      : new Map<string, LogEventInPlace>();
  const bodies = new Map<string, Body>();
  const { viewer, selection } = batch;
  const placed = fresh.flatMap(({ id, seq, conversationId }) => {
    const event = events.get(seq ?? '');
    return event && conversationId !== null ? [{ id, conversationId, event }] : [];
  });
  const read =
    viewer && placed.length > 0
      ? await gate.run(lane.organizationId, () => payloads.read(viewer, selection, placed, BATCH_BYTES))
      : [];
  const dataOf = new Map(placed.map(({ id }, index) => [id, read[index] ?? null]));
  const unread = new Set(placed.slice(read.length).map(({ id }) => id));
  const made = fresh.map((delivery): [DueDelivery, Body | null] => {
    if (delivery.event === TEST_EVENT) {
      const data = JSON.stringify({ webhookId: encodeId('Webhook', lane.webhookId) });
      return [delivery, payloadOf(delivery, delivery.createdAt, data)];
    }
    const [event, data] = [events.get(delivery.seq ?? ''), dataOf.get(delivery.id)];
    if (!event || !data) return [delivery, null];
    if ('fault' in data) return [delivery, { ...data, forGood: false }];
    return [delivery, payloadOf(delivery, event.occurredAt, data.json)];
  });
  const gone: string[] = [];
  const whole: { id: string; payload: string; discarded: number }[] = [];
  let bytes = 0;
  for (const [{ id, discarded }, body] of made) {
    if (unread.has(id)) break;
    if (body && 'body' in body) bytes += Buffer.byteLength(body.body);
    if (bytes > BATCH_BYTES && whole.length > 0) break;
    if (!body) gone.push(id);
    else if ('body' in body) whole.push({ id, payload: body.body, discarded });
    else bodies.set(id, body);
  }
  if (gone.length > 0) await pool.query('DELETE FROM webhook_delivery WHERE id = ANY($1::uuid[])', [gone]);
  if (whole.length > 0) {
    const { rows } = await gate.run(lane.organizationId, () =>
      pool.query<{ id: string }>({
        name: 'store-webhook-payloads',
        text: `UPDATE webhook_delivery d SET payload = made.payload
          FROM json_to_recordset($1) AS made(id uuid, payload text, discarded int)
          WHERE d.id = made.id AND d.payload IS NULL AND d.discarded = made.discarded RETURNING d.id`,
        values: [JSON.stringify(whole)],
      }),
    );
    const kept = new Set(rows.map(({ id }) => id));
    for (const { id, payload } of whole) if (kept.has(id)) bodies.set(id, { body: payload });
  }
  return bodies;
}

/** The payload that was made at an earlier try. Null if the delivery is gone. */
export async function readBody(pool: Pool, id: string): Promise<Body | null> {
  const { rows } = await pool.query<{ payload: string | null }>({
    name: 'read-webhook-payload',
    text: 'SELECT payload FROM webhook_delivery WHERE id = $1',
    values: [id],
  });
  const body = rows[0]?.payload ?? null;
  return body === null ? null : { body };
}

/** `data` is JSON. */
function payloadOf({ event }: DueDelivery, at: Date, data: string): Body {
  const body = `{"type":"${nameOfEvent(event)}","timestamp":"${at.toISOString()}","data":${data}}`;
  const bytes = Buffer.byteLength(body);
  if (bytes <= webhookLimits.payload) return { body };
  return {
    fault: `The payload has ${bytes} bytes; at most ${webhookLimits.payload} are sent. Select less.`,
    forGood: true,
  };
}
