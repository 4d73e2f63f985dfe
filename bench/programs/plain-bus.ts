// The limit for events between servers: a bus that nothing stands between, with a connection that tells and one that hears.
import { connect as connectToNats } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import pg from 'pg';
import { Metronome, now } from '../clock.ts';
import { obey } from '../process.ts';
import { produce, stampsIn } from '../words.ts';

export type PlainBusCommands = {
  /** Has streams of stamped words told for a time; returns how long each word took to be heard, in milliseconds. */
  measure(argument: { streams: number; perSecond: number; seconds: number }): Promise<number[]>;
};

const CHANNEL = 'bench';

interface PlainBus {
  tell(text: string): Promise<unknown>;
  close(): Promise<unknown>;
}

async function open(url: string, hear: (text: string) => void): Promise<PlainBus> {
  if (url.startsWith('redis:')) {
    const [hearing, telling] = [new Redis(url), new Redis(url)];
    await hearing.subscribe(CHANNEL);
    hearing.on('message', (_channel, text) => hear(text));
    return {
      tell: (text) => telling.publish(CHANNEL, text),
      close: () => Promise.all([hearing.quit(), telling.quit()]),
    };
  }
  if (url.startsWith('nats:')) {
    const hearing = await connectToNats({ servers: url });
    const telling = await connectToNats({ servers: url });
    hearing.subscribe(CHANNEL, { callback: (_error, message) => hear(message.string()) });
    await hearing.flush();
    return {
      tell: (text) => Promise.resolve(telling.publish(CHANNEL, text)),
      close: () => Promise.all([hearing.close(), telling.close()]),
    };
  }
  const [hearing, telling] = [new pg.Client({ connectionString: url }), new pg.Client({ connectionString: url })];
  await Promise.all([hearing.connect(), telling.connect()]);
  hearing.on('notification', ({ payload = '' }) => hear(payload));
  await hearing.query(`LISTEN ${CHANNEL}`);
  return {
    tell: (text) => telling.query('SELECT pg_notify($1, $2)', [CHANNEL, text]),
    close: () => Promise.all([hearing.end(), telling.end()]),
  };
}

const url = process.env.EVENTS_URL ?? process.env.DATABASE_URL ?? '';
let heard: number[] = [];
const bus = open(url, (text) => {
  const arrived = now();
  heard.push(...stampsIn(text).map((stamp) => arrived - stamp));
});

const commands: PlainBusCommands = {
  async measure({ streams, perSecond, seconds }) {
    const opened = await bus;
    heard = [];
    const metronome = new Metronome(perSecond);
    const end = setTimeout(() => metronome.end(), seconds * 1000);
    const speak = async () => {
      for await (const index of metronome.beats()) await opened.tell(produce(index, { perSecond, stamped: true }));
    };
    await Promise.all(Array.from({ length: streams }, speak));
    clearTimeout(end);
    return heard;
  },
};
obey(commands, async () => {
  await (await bus).close();
});
