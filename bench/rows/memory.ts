import type { Row } from '../bench.ts';
import { Side } from '../delivery.ts';

/** What a subscription costs on which nothing happens. */
export const memory: Row = {
  name: 'memory',
  async run(bench) {
    const batch = 100;
    const batches = bench.quick ? 2 : 10;
    const measure = async (name: 'parley' | 'by-hand') => {
      bench.progress(`memory of ${batch * batches} subscriptions: ${name}`);
      const side = new Side(bench, name);
      // The first ones load and compile what all need.
      await side.subscribe(1, batch);
      const used = [await side.server.call('usage', { collect: true })];
      // In batches, so that the garbage of their beginnings does not swell the process.
      for (let i = 0; i < batches; i += 1) {
        await side.follow(1, batch);
        used.push(await side.server.call('usage', { collect: true }));
      }
      await side.check();
      const grown = (by: 'rss' | 'heap') => ((used.at(-1)?.[by] ?? NaN) - (used[0]?.[by] ?? NaN)) / (batch * batches);
      return { rss: grown('rss'), heap: grown('heap') };
    };
    const ours = await measure('parley');
    const limit = await measure('by-hand');
    return {
      title: `Memory of an idle subscription by WebSocket, one of ${batch * batches}`,
      figures: [
        { what: 'resident memory', unit: 'KiB', ours: ours.rss, limit: limit.rss },
        { what: 'JavaScript heap', unit: 'KiB', ours: ours.heap, limit: limit.heap },
      ],
      notes: [
        `A socket each, ${batch} to a conversation, after a garbage collection. Limit: the server that is written by hand.`,
      ],
    };
  },
};
