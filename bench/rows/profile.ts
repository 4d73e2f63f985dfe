import type { Row } from '../bench.ts';
import { Side } from '../delivery.ts';

/** Where the time goes when one reply is delivered to many. */
export const profile: Row = {
  name: 'profile',
  async run(bench) {
    const subscribers = bench.quick ? 100 : 300;
    const pace = { perSecond: 10 };
    bench.progress('profile');
    const side = new Side(bench, 'parley');
    await side.subscribe(1, subscribers);
    await side.begin();
    await side.watch(pace, 2);
    const spots = await side.profile(pace, bench.quick ? 2 : 6);
    await side.finish();
    const modules = new Map<string, number>();
    for (const { module, share } of spots) modules.set(module, (modules.get(module) ?? 0) + share);
    const byShare = [...modules].sort(([, a], [, b]) => b - a).slice(0, 12);
    return {
      title: `Where the time goes: 1 reply, ${subscribers} subscribers, ${pace.perSecond} tokens/s`,
      figures: byShare.map(([module, share]) => ({ what: module, unit: '%', ours: share, limit: null })),
      notes: [
        'The time that functions take themselves, by who wrote them. Those that take the most:',
        ...spots.slice(0, 24).map(({ where, share }) => `${share.toFixed(1).padStart(5)} %  ${where}`),
      ],
    };
  },
};
