import { connect, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import type { Logger } from '../logger.ts';
import { within } from '../within.ts';
import { Channels } from './channels.ts';
import type { Bus } from './hints.ts';
import { type Link, type LinkEvents, linkedBus } from './linked-bus.ts';

export interface NatsBusOptions {
  /** `nats://`, or `tls://` for an encrypted connection, with user and password, or a token in place of both, as needed. */
  url: string;
  /** What names of subjects and signatures are made with. The same on all servers of an installation. */
  key: string;
  logger: Logger;
  /** How often a silent connection is probed, in milliseconds. Default 10,000. */
  probeEveryMs?: number;
  /** How long the server may take to answer, in milliseconds. Default 5,000. */
  timeLimitMs?: number;
}

/** Far below the limit of NATS, so that one message does not delay the others. */
const PAYLOAD_BYTES = 65_536;

/** How many sends may wait for their answer: the connection keeps their order. */
const SENDS_AT_ONCE = 16;

/** What the names of subjects begin with, so that an operator can permit `parley.>`. */
const PREFIX = 'parley.';

/** The name of the connection in the server's reports. */
const CONNECTION_NAME = 'parley-events';

/** A bus on NATS, with a subject for each topic. */
export function natsBus(options: NatsBusOptions): Bus {
  const { url, key, logger, probeEveryMs, timeLimitMs = 5_000 } = options;
  return linkedBus({
    logger,
    channels: new Channels(key),
    payloadBytes: PAYLOAD_BYTES,
    probeEveryMs,
    open: (events, channels) => openLink(url, timeLimitMs, events, channels),
  });
}

async function openLink(url: string, timeLimitMs: number, events: LinkEvents, channels: string[]): Promise<Link> {
  const { protocol, hostname, port, username, password } = new URL(url);
  const connection = await connect({
    servers: `${hostname}:${port || '4222'}`,
    name: CONNECTION_NAME,
    // The bus opens another link itself.
    reconnect: false,
    timeout: timeLimitMs,
    ...(protocol === 'tls:' && { tls: {} }),
    ...(password ? { user: decodeURIComponent(username), pass: decodeURIComponent(password) } : {}),
    ...(username && !password ? { token: decodeURIComponent(username) } : {}),
  });
  void connection.closed().then((reason) => {
    events.onLost(reason instanceof Error ? reason : new Error('the connection to NATS has ended'));
  });
  const subscriptions = new Map<string, Subscription>();
  const begin = (channel: string) => {
    const subject = PREFIX + channel;
    const subscription = connection.subscribe(subject, {
      callback: (error, message) => {
        if (error) events.onLost(error);
        else events.onMessage({ channel, payload: message.string() });
      },
    });
    subscriptions.set(channel, subscription);
  };
  const answered = () => answers(connection, timeLimitMs);
  const close = async () => {
    if (!connection.isClosed()) await connection.close();
  };
  try {
    for (const channel of channels) begin(channel);
    await answered();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    sendsAtOnce: SENDS_AT_ONCE,
    async send(messages) {
      for (const { channel, payload } of messages) connection.publish(PREFIX + channel, payload);
      await answered();
    },
    async listen(channel) {
      begin(channel);
      await answered();
    },
    ignore(channel) {
      subscriptions.get(channel)?.unsubscribe();
      subscriptions.delete(channel);
      return Promise.resolve();
    },
    probe: answered,
    close,
  };
}

/** Resolves when the server has handled all that was sent before. */
async function answers(connection: NatsConnection, timeLimitMs: number): Promise<void> {
  await within(timeLimitMs, connection.flush());
}
