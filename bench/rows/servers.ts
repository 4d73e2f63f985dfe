import { type Bench, type Figure, quantile, type Row } from '../bench.ts';
import { Side } from '../delivery.ts';
import { isThere, buses, notThere } from '../buses.ts';
import type { PlainBusCommands } from '../programs/plain-bus.ts';

const STREAMS = 20;
const PACE = { perSecond: 50 };

/** How much longer a delta takes to a client of another server than the one that generates it. */
export const servers: Row = {
  name: 'servers',
  async run(bench) {
    const figures: Figure[] = [];
    const missing: string[] = [];
    for (const { name, env } of buses) {
      if (await isThere(env)) figures.push(await measure(bench, name, env));
      else missing.push(notThere(name));
    }
    return {
      title: `What another server adds to a delta: ${STREAMS} replies, 1 subscriber each, ${PACE.perSecond} tokens/s`,
      figures,
      notes: [
        'The median to clients of another server, less the median to clients of the server that generates.',
        'Limit: the bus alone, with as many words of the same length, from one connection to another.',
        ...missing,
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
