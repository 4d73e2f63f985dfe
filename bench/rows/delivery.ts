import { type Bench, type Figure, quantile, type Row } from '../bench.ts';
import { onBoth, type Seen, type Sides, startSides } from '../delivery.ts';
import type { Pace } from '../programs/server.ts';

/** What the CPU of a server is spent on when replies are delivered. */
export const delivery: Row = {
  name: 'delivery',
  async run(bench) {
    const sides = startSides(bench);
    const byEvents = startSides(bench, { transport: 'SSE' });
    const [many, few, replies] = bench.quick ? [200, 50, 20] : [1000, 100, 100];
    const oneByOne = [{ perSecond: 10 }, { perSecond: 50 }];
    const waiting = { perSecond: 80, together: 8 };
    return {
      title: 'CPU of the server, delivery by WebSocket, and by server-sent events where it says so',
      figures: [
        ...(await midAir(bench, sides, { conversations: 1, subscribersEach: many, paces: [...oneByOne, waiting] })),
        ...(await midAir(bench, sides, { conversations: replies, subscribersEach: 1, paces: [{ perSecond: 50 }] })),
        ...(await midAir(bench, sides, { conversations: 5 * replies, subscribersEach: 1, paces: [{ perSecond: 10 }] })),
        await wholeReply(bench, sides, few),
        ...(await midAir(bench, byEvents, {
          conversations: 1,
          subscribersEach: many,
          paces: [{ perSecond: 10 }, waiting],
          how: 'by SSE, ',
        })),
      ],
      notes: [
        'Limit: a server that only splices frames by hand and writes them to the raw sockets, the same text at the same pace.',
        'A reader that is behind gets the tokens that wait as one delta, so that a token may cost less than a delta.',
        'A delta is of five characters. The beginnings and ends of replies count only where all of a reply is measured.',
      ],
    };
  },
};

interface Scenario {
  conversations: number;
  subscribersEach: number;
  paces: Pace[];
  how?: string;
}

async function midAir(bench: Bench, sides: Sides, scenario: Scenario): Promise<Figure[]> {
  const { conversations, subscribersEach, paces, how = '' } = scenario;
  const who = `${how}${count(conversations, 'reply', 'replies')}, ${count(subscribersEach, 'subscriber')} each`;
  bench.progress(`delivery: ${who}`);
  await onBoth(sides, (side) => side.subscribe(conversations, subscribersEach));
  await onBoth(sides, (side) => side.begin());
  const figures: Figure[] = [];
  for (const pace of paces) {
    const { perSecond, together = 1 } = pace;
    const what = `${who}, ${perSecond} tokens/s${together > 1 ? `, ${together} at a time` : ''}`;
    bench.progress(`delivery: ${what}`);
    const seconds = bench.quick ? 1 : 3;
    const { ours, limit } = await bench.alternate(bench.quick ? 1 : 3, {
      ours: () => sides.ours.watch(pace, seconds),
      limit: () => sides.limit.watch(pace, seconds),
    });
    const figure = (what: string, unit: string, of: (seen: Seen) => number): Figure => ({
      what,
      unit,
      ours: quantile(ours.map(of)),
      limit: quantile(limit.map(of)),
    });
    figures.push(
      figure(`${what}: a delta`, 'µs', ({ cpu, deltas }) => cpu / deltas),
      figure('  a token for a subscriber', 'µs', ({ cpu, tokens }) => cpu / tokens),
      figure('  tokens/s that it keeps up with', '', (seen) => seen.perSecond),
    );
  }
  await onBoth(sides, (side) => side.finish());
  return figures;
}

/** From the message that is answered to the end, which is six events; its text is so short that it counts for nothing. */
async function wholeReply(bench: Bench, sides: Sides, subscribers: number): Promise<Figure> {
  const what = `all of a reply of 1 token, ${count(subscribers, 'subscriber')}: a subscriber`;
  bench.progress(`delivery: ${what}`);
  await onBoth(sides, (side) => side.subscribe(1, subscribers));
  const { ours, limit } = await bench.alternate(bench.quick ? 1 : 3, {
    ours: () => sides.ours.reply(),
    limit: () => sides.limit.reply(),
  });
  return { what, unit: 'µs', ours: quantile(ours) / subscribers, limit: quantile(limit) / subscribers };
}

function count(number: number, one: string, several = `${one}s`): string {
  return `${number} ${number === 1 ? one : several}`;
}
