import { randomBytes } from 'node:crypto';
import type { Logger } from '../logger.ts';
import { retry } from '../retry.ts';
import type { Bus } from './hints.ts';
import { Listeners } from './listeners.ts';
import { HintBuffer } from './hint-buffer.ts';
import { decodeHints, encodeHints } from './wire.ts';

/**
 * What a new bus has to implement: an open connection to a system that carries hints. `linkedBus` turns it into a `Bus`, with the
 * batching, probing and reconnecting that all buses share. `chooseBus` picks one by the settings. Every promise
 * settles within the time limit that the link was opened with.
 */
export interface Link {
  /** Sends in order. Rejects if some payloads may not have been sent. */
  send(payloads: string[]): Promise<void>;
  /** Rejects if the other side no longer answers. */
  probe(): Promise<void>;
  /** Resolves when everything is closed, also after the link was lost. Never rejects. */
  close(): Promise<void>;
}

export interface LinkEvents {
  onPayload: (payload: string) => void;
  /** Reports that the link is broken. May be called more than once. */
  onLost: (reason: Error) => void;
}

export interface LinkedBusOptions {
  logger: Logger;
  /** Opens a link on which hints of others already arrive. If that fails, closes everything and rejects. */
  open: (events: LinkEvents) => Promise<Link>;
  /** The largest payload, in bytes of UTF-8. */
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

/** The state of the connection to the other servers. */
type State =
  /** Not connected: not yet, or no longer after `close`. */
  | { is: 'closed' }
  /** The first link is being opened. */
  | { is: 'opening'; opened: Promise<void> }
  | { is: 'open'; link: Link; probing: NodeJS.Timeout }
  /** The link was lost. Opening another is retried until it succeeds. */
  | { is: 'waiting'; reopened: Promise<void> };

/**
 * A bus over one link, which is reopened whenever it is lost. Hints published meanwhile wait for the next link, up to about
 * 1 MiB. Hints being sent when the link broke are dropped.
 */
export function linkedBus({ logger, open, payloadBytes, probeEveryMs = PROBE_EVERY_MS }: LinkedBusOptions): Bus {
  const sender = randomBytes(9).toString('base64url');
  const listeners = new Listeners(logger);
  const outbox = new HintBuffer(WAITING_BYTES);
  const end = new AbortController();
  let state: State = { is: 'closed' };
  let sending: Promise<void> | undefined;
  let flushTimer: NodeJS.Timeout | undefined;
  let inTrouble = false;
  let closing: Promise<void> | undefined;

  const isOpen = (link: Link) => state.is === 'open' && state.link === link;

  /** Logs one line per outage, however much fails in it. */
  function complain(error: unknown, message: string): void {
    if (!inTrouble && !end.signal.aborted) logger.warn({ err: error }, message);
    inTrouble = true;
  }

  async function openLink(): Promise<void> {
    const arrived: { link?: Link } = {};
    let early: Error | undefined;
    const opened = await open({
      onPayload: (payload) => {
        for (const hint of decodeHints(sender, payload)) listeners.hint(hint);
      },
      onLost: (reason) => {
        if (arrived.link) lose(arrived.link, reason);
        else early = reason;
      },
    });
    if (early || end.signal.aborted) {
      await opened.close();
      throw early ?? new Error('the event bus is closed');
    }
    arrived.link = opened;
    state = { is: 'open', link: opened, probing: probeLater(opened) };
    inTrouble = false;
    flush();
  }

  function probeLater(link: Link): NodeJS.Timeout {
    return setTimeout(() => {
      link.probe().then(
        () => {
          if (isOpen(link)) state = { is: 'open', link, probing: probeLater(link) };
        },
        (error: unknown) => {
          lose(link, error);
        },
      );
    }, probeEveryMs);
  }

  function lose(lost: Link, reason: unknown): void {
    if (state.is !== 'open' || state.link !== lost || end.signal.aborted) return;
    clearTimeout(state.probing);
    clearTimeout(flushTimer);
    flushTimer = undefined;
    complain(reason, 'the event bus is cut: readers fall back to polling');
    state = { is: 'waiting', reopened: reopen(lost) };
  }

  /** Resolves when another link is open or the bus is closed. */
  async function reopen(lost: Link): Promise<void> {
    const closed = lost.close();
    try {
      await retry(openLink, {
        signal: end.signal,
        firstMs: FIRST_RETRY_MS,
        longestMs: LONGEST_RETRY_MS,
        spread: true,
        onFailure: (error) => logger.debug({ err: error }, 'the event bus is still cut'),
      });
      logger.info('the event bus is back');
      listeners.reconnected();
    } catch (error) {
      if (!end.signal.aborted) throw error;
    } finally {
      await closed;
    }
  }

  function flushSoon(): void {
    if (state.is !== 'open' || sending || end.signal.aborted || outbox.size === 0) return;
    if (outbox.size >= FLUSH_BYTES) flush();
    else flushTimer ??= setTimeout(flush, BATCH_MS);
  }

  function flush(): void {
    clearTimeout(flushTimer);
    flushTimer = undefined;
    if (state.is !== 'open' || sending || outbox.size === 0) return;
    const { link } = state;
    sending = link
      .send(encodeHints(sender, outbox.take(), payloadBytes))
      .then(
        () => {
          if (isOpen(link)) inTrouble = false;
        },
        (error: unknown) => {
          if (isOpen(link)) complain(error, 'hints could not be sent and were dropped');
        },
      )
      .finally(() => {
        sending = undefined;
        flushSoon();
      });
  }

  async function shutDown(): Promise<void> {
    end.abort();
    listeners.clear();
    if (state.is === 'opening') await state.opened.catch(() => undefined);
    if (state.is === 'waiting') await state.reopened;
    await sending;
    flush();
    await sending;
    const last = state;
    state = { is: 'closed' };
    if (last.is !== 'open') return;
    clearTimeout(last.probing);
    await last.link.close();
  }

  return {
    async connect() {
      if (end.signal.aborted) throw new Error('the event bus is closed');
      if (state.is === 'closed') {
        const opened = openLink().catch((error: unknown) => {
          state = { is: 'closed' };
          throw error;
        });
        state = { is: 'opening', opened };
      }
      if (state.is === 'opening') await state.opened;
    },
    publish(hint) {
      listeners.hint(hint);
      if (end.signal.aborted) return;
      if (!outbox.add(hint)) complain(undefined, 'too many hints wait to be sent: the oldest are dropped');
      flushSoon();
    },
    subscribe: (listener) => listeners.add(listener),
    isConnected: () => state.is === 'open',
    close: () => (closing ??= shutDown()),
  };
}
