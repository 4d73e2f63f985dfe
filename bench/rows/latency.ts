import { quantile, type Row } from '../bench.ts';
import { onBoth, type Seen, startSides } from '../delivery.ts';

/** How long a delta takes from the agent to a client. */
export const latency: Row = {
  name: 'latency',
  async run(bench) {
    const sides = startSides(bench);
    const replies = 20;
    bench.progress(`latency: ${replies} replies, 1 subscriber each`);
    await onBoth(sides, (side) => side.subscribe(replies, 1));
    await onBoth(sides, (side) => side.begin({ stamped: true }));
    const pace = { perSecond: 50 };
    const seconds = bench.quick ? 1 : 3;
    const { ours, limit } = await bench.alternate(bench.quick ? 1 : 3, {
      ours: () => sides.ours.watch(pace, seconds),
      limit: () => sides.limit.watch(pace, seconds),
    });
    await onBoth(sides, (side) => side.finish());
    const part = (seen: Seen[], p: number) => quantile(seen.map(({ delays }) => quantile(delays, p)));
    return {
      title: `Latency of a delta, ${replies} replies, 1 subscriber each, ${pace.perSecond} tokens/s`,
      figures: [0.5, 0.99].map((p) => ({
        what: `p${p * 100}`,
        unit: 'ms',
        ours: part(ours, p),
        limit: part(limit, p),
      })),
      notes: ['From when the agent yields a delta until the client has it. Limit: the server that is written by hand.'],
    };
  },
};
