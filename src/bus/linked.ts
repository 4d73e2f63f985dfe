import { randomBytes } from 'node:crypto';
import type { Logger } from '../logger.ts';
import type { Bus } from './bus.ts';
import { Listeners } from './listeners.ts';
import { HintBuffer } from './hint-buffer.ts';
import { decodeHints, encodeHints } from './wire.ts';

/** An open connection to whatever carries the hints. Every promise settles within the time limit it was opened with. */
export interface Link {
  /** Sends in order. Rejects when some of it may not have gone out. */
  send(payloads: string[]): Promise<void>;
  /** Rejects when the other side no longer answers. */
  probe(): Promise<void>;
  /** Resolves when nothing is held open, also after the link was lost. Never rejects. */
  close(): Promise<void>;
}

export interface LinkEvents {
  onPayload: (payload: string) => void;
  /** The link is of no use any more. May be called more than once. */
  onLost: (reason: Error) => void;
}

export interface LinkedBusOptions {
  logger: Logger;
  /** Makes a link on which hints of others already arrive. Rejects, with nothing left open, when that fails. */
  open: (events: LinkEvents) => Promise<Link>;
  /** The size of one payload, in bytes of UTF-8. */
  payloadBytes: number;
  /** How often a silent link is probed, in milliseconds. */
  probeEveryMs?: number | undefined;
}

const BATCH_MS = 20;
const FLUSH_BYTES = 7_500;
const WAITING_BYTES = 1_048_576;
const PROBE_EVERY_MS = 10_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;

/**
 * A bus over one link that is made anew whenever it is lost. What is published meanwhile waits for the next link, about
 * 1 MiB of it; what was on its way when the link broke is dropped.
 */
export function linkedBus({ logger, open, payloadBytes, probeEveryMs = PROBE_EVERY_MS }: LinkedBusOptions): Bus {
  const sender = randomBytes(9).toString('base64url');
  const listeners = new Listeners(logger);
  const outbox = new HintBuffer(WAITING_BYTES);
  let link: Link | undefined;
  let opening: Promise<void> | undefined;
  let losing: Promise<void> | undefined;
  let sending: Promise<void> | undefined;
  let flushTimer: NodeJS.Timeout | undefined;
  let probeTimer: NodeJS.Timeout | undefined;
  let retryTimer: NodeJS.Timeout | undefined;
  let failures = 0;
  let inTrouble = false;
  let closed = false;
  let closing: Promise<void> | undefined;

  /** One line per outage, however much fails in it. */
  function complain(error: unknown, message: string): void {
    if (!inTrouble && !closed) logger.warn({ err: error }, message);
    inTrouble = true;
  }

  async function openLink(): Promise<void> {
    let current: Link | undefined;
    let early: Error | undefined;
    const opened = await open({
      onPayload: (payload) => {
        for (const hint of decodeHints(sender, payload)) listeners.hint(hint);
      },
      onLost: (reason) => {
        if (current) lose(current, reason);
        else early = reason;
      },
    });
    if (early || closed) {
      await opened.close();
      throw early ?? new Error('the event bus is closed');
    }
    link = current = opened;
    failures = 0;
    inTrouble = false;
    watch(opened);
    flush();
  }

  function watch(watched: Link): void {
    probeTimer = setTimeout(() => {
      watched.probe().then(
        () => {
          if (link === watched && !closed) watch(watched);
        },
        (error: unknown) => {
          lose(watched, error);
        },
      );
    }, probeEveryMs);
  }

  function lose(lost: Link, reason: unknown): void {
    if (link !== lost || closed) return;
    link = undefined;
    clearTimeout(probeTimer);
    clearTimeout(flushTimer);
    flushTimer = undefined;
    complain(reason, 'the event bus is cut: readers fall back to polling');
    losing = lost.close();
    retry();
  }

  function retry(): void {
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
    retryTimer = setTimeout(
      () => {
        opening = openLink().then(
          () => {
            logger.info('the event bus is back');
            listeners.reconnected();
          },
          (error: unknown) => {
            failures += 1;
            logger.debug({ err: error }, 'the event bus is still cut');
            if (!closed) retry();
          },
        );
      },
      longest * (0.5 + Math.random() / 2),
    );
  }

  function flushSoon(): void {
    if (!link || sending || closed || outbox.size === 0) return;
    if (outbox.size >= FLUSH_BYTES) flush();
    else flushTimer ??= setTimeout(flush, BATCH_MS);
  }

  function flush(): void {
    clearTimeout(flushTimer);
    flushTimer = undefined;
    if (!link || sending || outbox.size === 0) return;
    const current = link;
    sending = current
      .send(encodeHints(sender, outbox.take(), payloadBytes))
      .then(
        () => {
          if (link === current) inTrouble = false;
        },
        (error: unknown) => {
          if (link === current) complain(error, 'hints could not be sent and were dropped');
        },
      )
      .finally(() => {
        sending = undefined;
        flushSoon();
      });
  }

  async function shutDown(): Promise<void> {
    closed = true;
    clearTimeout(probeTimer);
    clearTimeout(retryTimer);
    listeners.clear();
    await opening?.catch(() => undefined);
    await losing;
    await sending;
    flush();
    await sending;
    const last = link;
    link = undefined;
    await last?.close();
  }

  return {
    connect() {
      if (closed) return Promise.reject(new Error('the event bus is closed'));
      opening ??= openLink().catch((error: unknown) => {
        opening = undefined;
        throw error;
      });
      return opening;
    },
    publish(hint) {
      listeners.hint(hint);
      if (closed) return;
      if (!outbox.add(hint)) complain(undefined, 'too many hints wait to be sent: the oldest are dropped');
      flushSoon();
    },
    subscribe: (listener) => listeners.add(listener),
    isConnected: () => link !== undefined,
    close: () => (closing ??= shutDown()),
  };
}
