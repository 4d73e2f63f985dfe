import type { Pool } from '../db.ts';
import type { Viewer } from '../access/viewer.ts';
import type { LogEventInPlace } from '../conversations/log/read.ts';
import type { Logger } from '../logger.ts';
import type { NewId } from '../ids.ts';

/** Limits of webhooks. */
export const webhookLimits = {
  /** Webhooks of an organization. */
  webhooks: 50,
  /** Characters of a selection. */
  selection: 16_384,
  /** Bytes of a payload. */
  payload: 256 * 1024,
  /** Tries of a delivery that are remembered, the last ones. */
  attempts: 20,
  /** Secrets that sign at the same time. */
  secrets: 3,
} as const;

/** How many tries a webhook may be in at the same time, on all servers together: one for each lane. */
export const LANES = 8;

/** How long the secret before still signs after a rotation, in hours. */
export const ROTATION_HOURS = 24;

/** How long deliveries are kept, in days. */
export const KEPT_DAYS = 30;

/** An event of the log, and whose it is. */
export interface PlacedEvent {
  conversationId: string;
  event: LogEventInPlace;
}

/**
 * The selection of an event, as JSON. Null if the event's conversation was deleted meanwhile. `fault` says in a sentence why it
 * cannot be read.
 */
export type EventData = { json: string } | { fault: string } | null;

/** Makes what webhooks are sent. */
export interface PayloadMaker {
  /** What is wrong with a selection on `ConversationEvent`, in sentences. */
  faultsOf(selection: string): string[];
  /**
   * What a selection reads of events with the rights of the viewer, for each in their order. The last ones may be left out once those
   * before hold `most` characters.
   */
  read(viewer: Viewer, selection: string, events: readonly PlacedEvent[], most: number): Promise<EventData[]>;
}

/** One try of a delivery. */
export interface DeliveryAttempt {
  /** When it began, RFC 3339. */
  at: string;
  /** Null if there was no answer. */
  statusCode: number | null;
  milliseconds: number;
  /** Why it failed. Null if it succeeded. */
  error: string | null;
}

/** What the commands on webhooks use. */
export interface WebhookServices {
  pool: Pool;
  newId: NewId;
  logger: Logger;
  payloads: PayloadMaker;
  webhooks: {
    /** There is something to send. Saves waiting for the next look. */
    wake(): void;
    /** There is something to remove. Saves waiting for the next look. */
    clean(): void;
    /** Whether webhooks may use `http:` and private addresses. */
    readonly allowPrivateAddresses: boolean;
  };
}
