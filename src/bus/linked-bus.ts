import { randomBytes } from 'node:crypto';
import type { Logger } from '../logger.ts';
import { retry } from '../retry.ts';
import { type Channels, SIGNATURE_LENGTH } from './channels.ts';
import { HintBuffer } from './hint-buffer.ts';
import { type Bus, type Hint, isQuestion } from './hints.ts';
import { Listeners } from './listeners.ts';
import { Memberships } from './memberships.ts';
import { topicsOf } from './topics.ts';
import { decodeHints, encodeHints } from './wire.ts';

/**
 * What a new bus has to implement: an open connection to a system that carries hints. `linkedBus` turns it into a `Bus`, with the
 * batching, probing and reconnecting that all buses share. `chooseBus` picks one by the settings. Every promise
 * settles within the time limit that the link was opened with.
 */
export interface Link {
  /** How many sends may be under way at once. What is published meanwhile goes together in the next. */
  readonly sendsAtOnce: number;
  /** Sends in order, also among several calls. Rejects if some payloads may not have been sent. */
  send(messages: Message[]): Promise<void>;
  /** Resolves once what others send on a channel arrives. Calls of `listen` and `ignore` take effect in their order. */
  listen(channel: string): Promise<void>;
  ignore(channel: string): Promise<void>;
  /** Rejects if the other side no longer answers. */
  probe(): Promise<void>;
  /** Resolves when everything is closed, also after the link was lost. Never rejects. */
  close(): Promise<void>;
}

/** A payload and the name of its channel. */
export interface Message {
  channel: string;
  payload: string;
}

export interface LinkEvents {
  onMessage: (message: Message) => void;
  /** Reports that the link is broken. May be called more than once. */
  onLost: (reason: Error) => void;
}

export interface LinkedBusOptions {
  logger: Logger;
  channels: Channels;
  /** Opens a link that listens to these channels already. If that fails, closes everything and rejects. */
  open: (events: LinkEvents, channels: string[]) => Promise<Link>;
  /** The largest payload, in bytes of UTF-8. */
  payloadBytes: number;
  /** How often a silent link is probed, in milliseconds. */
  probeEveryMs?: number | undefined;
}

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
 * 1 MiB, and about as much is being sent at once. Hints being sent when the link broke are dropped.
 */
export function linkedBus(options: LinkedBusOptions): Bus {
  const { logger, open, channels, payloadBytes, probeEveryMs = PROBE_EVERY_MS } = options;
  const sender = randomBytes(9).toString('base64url');
  const listeners = new Listeners(logger);
  const outbox = new HintBuffer(WAITING_BYTES);
  const memberships = new Memberships<string>();
  const end = new AbortController();
  let state: State = { is: 'closed' };
  const sending = new Set<Promise<void>>();
  let sendingBytes = 0;
  let flushing = false;
  let inTrouble = false;
  let closing: Promise<void> | undefined;

  // Hints that all servers hear.
  const control = channels.of('control');
  void memberships.add(control, { begin: () => Promise.resolve(), end: () => undefined });

  const isOpen = (link: Link) => state.is === 'open' && state.link === link;

  /** Logs one line per outage, however much fails in it. */
  function complain(error: unknown, message: string): void {
    if (!inTrouble && !end.signal.aborted) logger.warn({ err: error }, message);
    inTrouble = true;
  }

  async function openLink(): Promise<void> {
    const arrived: { link?: Link } = {};
    let early: Error | undefined;
    const wanted = memberships.all();
    const opened = await open(
      {
        onMessage: ({ channel, payload }) => {
          const verified = channels.verified(channel, payload);
          if (verified === null) return;
          for (const hint of decodeHints(sender, verified)) listeners.hint(hint);
        },
        onLost: (reason) => {
          if (arrived.link) lose(arrived.link, reason);
          else early = reason;
        },
      },
      wanted,
    );
    await follow(opened, new Set(wanted)).catch((error: unknown) => {
      early ??= error instanceof Error ? error : new Error('the event bus does not listen', { cause: error });
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

  /** Has a link listen to just what is joined, when it returns. `listening`: what it listens to now. */
  async function follow(link: Link, listening: Set<string>): Promise<void> {
    for (;;) {
      const missing = memberships.all().filter((channel) => !listening.has(channel));
      const needless = [...listening].filter((channel) => !memberships.has(channel));
      if (missing.length + needless.length === 0) return;
      for (const channel of missing) listening.add(channel);
      for (const channel of needless) listening.delete(channel);
      await Promise.all([...missing.map((one) => link.listen(one)), ...needless.map((one) => link.ignore(one))]);
    }
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

  /** Sends what was published in this turn of the event loop. While as many sends as may be are under way, the end of one does. */
  function flushSoon(): void {
    if (flushing || !mayFlush(state)) return;
    flushing = true;
    setImmediate(() => {
      flushing = false;
      flush();
    });
  }

  function mayFlush(now: State): now is Extract<State, { is: 'open' }> {
    if (now.is !== 'open' || outbox.size === 0) return false;
    return sending.size < now.link.sendsAtOnce && sendingBytes < WAITING_BYTES;
  }

  function flush(): void {
    if (!mayFlush(state)) return;
    const { link } = state;
    const { size } = outbox;
    sendingBytes += size;
    const sent = link
      .send(signed(outbox.take()))
      .then(
        () => {
          if (isOpen(link)) inTrouble = false;
        },
        (error: unknown) => {
          if (isOpen(link)) complain(error, 'hints could not be sent and were dropped');
        },
      )
      .finally(() => {
        sending.delete(sent);
        sendingBytes -= size;
        flushSoon();
      });
    sending.add(sent);
  }

  /** The hints, in order, as signed payloads of the channels that they go to. */
  function signed(hints: readonly Hint[]): Message[] {
    const byChannel = new Map<string, Hint[]>();
    for (const hint of hints) {
      for (const channel of new Set(topicsOf(hint).map((topic) => channels.of(topic)))) {
        const others = byChannel.get(channel);
        if (others) others.push(hint);
        else byChannel.set(channel, [hint]);
      }
    }
    return [...byChannel].flatMap(([channel, own]) =>
      encodeHints(sender, own, payloadBytes - SIGNATURE_LENGTH).map((payload) => ({
        channel,
        payload: channels.sign(channel, payload),
      })),
    );
  }

  function listen(channel: string): Promise<void> {
    if (state.is !== 'open') return Promise.resolve();
    const { link } = state;
    // Another link listens to all that is joined, and its readers are told that they have missed something.
    return link.listen(channel).catch((error: unknown) => lose(link, error));
  }

  function ignore(channel: string): void {
    if (state.is !== 'open') return;
    const { link } = state;
    link.ignore(channel).catch((error: unknown) => lose(link, error));
  }

  async function shutDown(): Promise<void> {
    end.abort();
    listeners.clear();
    if (state.is === 'opening') await state.opened.catch(() => undefined);
    if (state.is === 'waiting') await state.reopened;
    await Promise.all(sending);
    flush();
    await Promise.all(sending);
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
    publish(hint, reach = 'EVERYWHERE') {
      if (reach !== 'ELSEWHERE') listeners.hint(hint);
      if (reach === 'HERE' || end.signal.aborted) return;
      if (state.is !== 'open' && isQuestion(hint)) return;
      if (!outbox.add(hint)) complain(undefined, 'too many hints wait to be sent: the oldest are dropped');
      flushSoon();
    },
    join(topic) {
      const channel = channels.of(topic);
      return memberships.add(channel, { begin: () => listen(channel), end: () => ignore(channel) });
    },
    subscribe: (listener) => listeners.add(listener),
    isConnected: () => state.is === 'open',
    close: () => (closing ??= shutDown()),
  };
}
