import type { Pool } from '../../db.ts';
import type { Logger } from '../../logger.ts';
import { retry } from '../../retry.ts';
import { type DeliveryAttempt, webhookLimits } from '../model.ts';

/** How long an endpoint may fail before it is switched off, in days. */
const FAILING_DAYS = 5;

/** What a try came to. */
export interface DeliveryRecord {
  id: string;
  webhookId: string;
  attempt: DeliveryAttempt;
  /** When to try again, in milliseconds from now. Null: not again. */
  delayMs: number | null;
  /** Whether the endpoint was asked at all. If not, the try says nothing about it. */
  wasAsked: boolean;
  /** The endpoint does not want any more. */
  gone: boolean;
}

/** How long records are gathered that nobody waits for, in milliseconds. */
const GATHER_MS = 50;

/** Stores what tries came to, those of a moment in one statement, and one statement at a time. */
export class Recorder {
  private readonly pool: Pool;
  private readonly logger: Logger;
  private waiting: DeliveryRecord[] = [];
  private running: Promise<void> | null = null;
  private next: Promise<void> | null = null;
  private onGathered: () => void = () => undefined;

  constructor(pool: Pool, logger: Logger) {
    this.pool = pool;
    this.logger = logger;
  }

  /** Resolves when the record is stored. */
  add(record: DeliveryRecord): Promise<void> {
    this.waiting.push(record);
    return (this.next ??= this.storeNext());
  }

  /** Stores as soon as it can what was added: somebody waits for it. */
  flush(): void {
    this.onGathered();
  }

  private async storeNext(): Promise<void> {
    await this.gathered();
    await this.running?.catch(() => undefined);
    this.next = null;
    const storing = this.store(this.waiting.splice(0)).finally(() => {
      if (this.running === storing) this.running = null;
    });
    this.running = storing;
    await storing;
  }

  private async gathered(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GATHER_MS);
      this.onGathered = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private async store(records: readonly DeliveryRecord[]): Promise<void> {
    const store = () =>
      this.pool.query<{ id: string; reason: string | null }>({
        name: 'record-webhook-tries',
        text: recordSql,
        values: [JSON.stringify(records.map(stored)), webhookLimits.attempts, FAILING_DAYS],
      });
    const { rows } = await retry(store, { attempts: 5 });
    for (const { id, reason } of rows) {
      if (reason !== null) this.logger.warn({ webhookId: id, reason }, 'a webhook was switched off');
    }
  }
}

function stored({ id, webhookId, attempt, delayMs, wasAsked, gone }: DeliveryRecord) {
  const delivered = attempt.error === null;
  const status = delivered ? 'DELIVERED' : delayMs === null ? 'FAILED' : 'PENDING';
  return { id, webhookId, attempt, delayMs: status === 'PENDING' ? delayMs : null, wasAsked, gone, delivered, status };
}

/** Switches a webhook off. What waits for it stays. */
export async function switchOff(pool: Pool, webhookId: string, reason: string): Promise<void> {
  await pool.query({
    text: `UPDATE webhook SET status = 'OFF', disabled_reason = $2, disabled_at = now() WHERE id = $1 AND status = 'ON'`,
    values: [webhookId, reason],
  });
}

const recordSql = /* sql */ `
WITH record AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, "webhookId" uuid, status text, "delayMs" float8, attempt jsonb,
    delivered boolean, "wasAsked" boolean, gone boolean)
), recorded AS (
  UPDATE webhook_delivery d SET status = r.status::"DeliveryStatus", tries = d.tries + 1,
    due_at = now() + r."delayMs" * interval '1 millisecond',
    attempts = CASE WHEN jsonb_array_length(d.attempts) >= $2 THEN d.attempts - 0 ELSE d.attempts END
      || jsonb_build_array(r.attempt)
  FROM record r WHERE d.id = r.id AND d.status = 'PENDING'
), health AS (
  SELECT "webhookId" AS id, bool_or(delivered) AS delivered, bool_or(gone) AS gone
  FROM record WHERE "wasAsked" GROUP BY "webhookId"
), judged AS (
  SELECT w.id, h.delivered, CASE
      WHEN h.gone THEN 'The endpoint answered with status 410: it is gone for good.'
      WHEN NOT h.delivered AND w.failing_since < now() - $3 * interval '1 day' THEN 'Each try has failed for ' || $3 || ' days.'
    END AS reason
  FROM webhook w JOIN health h ON h.id = w.id
  WHERE w.status = 'ON'
)
UPDATE webhook w SET
  failing_since = CASE WHEN NOT judged.delivered THEN coalesce(w.failing_since, now()) END,
  status = CASE WHEN judged.reason IS NULL THEN w.status ELSE 'OFF' END,
  disabled_reason = coalesce(judged.reason, w.disabled_reason),
  disabled_at = CASE WHEN judged.reason IS NULL THEN w.disabled_at ELSE now() END
FROM judged WHERE w.id = judged.id
  AND (judged.reason IS NOT NULL OR (judged.delivered AND w.failing_since IS NOT NULL)
    OR (NOT judged.delivered AND w.failing_since IS NULL))
RETURNING w.id, judged.reason`;
