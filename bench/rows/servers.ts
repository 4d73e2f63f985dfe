import { connect } from 'node:net';
import { type Bench, type Figure, quantile, type Row } from '../bench.ts';
import { Side } from '../delivery.ts';
import type { PlainBusCommands } from '../programs/plain-bus.ts';

const STREAMS = 20;
const PACE = { perSecond: 50 };

/** What can carry events between servers here, by the name in the table. */
const buses: readonly { name: string; env: Record<string, string> }[] = [
  { name: 'PostgreSQL', env: {} },
  { name: 'Redis', env: { EVENTS_URL: 'redis://127.0.0.1:6379' } },
  { name: 'NATS', env: { EVENTS_URL: 'nats://127.0.0.1:4222' } },
];

/** How much longer a delta takes to a client of another server than the one that generates it. */
export const servers: Row = {
  name: 'servers',
  async run(bench) {
    const figures: Figure[] = [];
    const missing: string[] = [];
    for (const { name, env } of buses) {
      if (env.EVENTS_URL === undefined || (await answers(env.EVENTS_URL)))
        figures.push(await measure(bench, name, env));
      else missing.push(name);
    }
    return {
      title: `What another server adds to a delta: ${STREAMS} replies, 1 subscriber each, ${PACE.perSecond} tokens/s`,
      figures,
      notes: [
        'The median to clients of another server, less the median to clients of the server that generates.',
        'Limit: the bus alone, with as many words of the same length, from one connection to another.',
        ...missing.map((name) => `${name} does not answer here, and was not measured.`),
      ],
    };
  },
};

async function measure(bench: Bench, name: string, env: Record<string, string>): Promise<Figure> {
  bench.progress(`servers: ${name}`);
  const here = new Side(bench, 'parley', { env });
  const elsewhere = new Side(bench, 'parley', { env, generator: here.server });
  const plain = bench.start<PlainBusCommands>('plain-bus', env);
  const seconds = bench.quick ? 1 : 3;
  const delays = async (side: Side) => {
    await side.subscribe(STREAMS, 1);
    await side.begin({ stamped: true });
    const seen = await side.watch(PACE, seconds);
    await side.finish();
    return quantile(seen.delays);
  };
  const { ours, limit } = await bench.alternate(bench.quick ? 1 : 5, {
    ours: async () => (await delays(elsewhere)) - (await delays(here)),
    limit: async () => quantile(await plain.call('measure', { streams: STREAMS, ...PACE, seconds })),
  });
  await bench.stop();
  return { what: name, unit: 'ms', ours: quantile(ours), limit: quantile(limit) };
}

function answers(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => socket.end(() => resolve(true)));
    socket.once('error', () => resolve(false));
  });
}
