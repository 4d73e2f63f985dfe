import type { Bench, Figure, Row } from '../bench.ts';
import { buses, isThere, notThere } from '../buses.ts';
import { Side } from '../delivery.ts';
import type { Program } from '../process.ts';
import type { HintCount, ParleyCommands } from '../programs/parley.ts';

const SERVERS = 4;
const CONVERSATIONS = 40;
const PACE = { perSecond: 20 };

/** How many times its own share a server may handle. */
const PROMISED = 1.2;

/** What of the events of others a server has to deal with. */
export const hints: Row = {
  name: 'hints',
  async run(bench) {
    const figures: Figure[] = [];
    const missing: string[] = [];
    // Beside PostgreSQL, whose servers share a fixed number of channels.
    for (const { name, env } of buses.filter((bus) => bus.env.EVENTS_URL !== undefined)) {
      if (await isThere(env)) figures.push(...(await measure(bench, name, env)));
      else missing.push(notThere(name));
    }
    const kept = figures.every(({ ours, limit }) => limit !== null && ours <= PROMISED * limit);
    return {
      title: `Hints that a server handles, one of ${SERVERS} with ${CONVERSATIONS} replies, 1 subscriber each, ${PACE.perSecond} tokens/s`,
      figures,
      notes: [
        'Of the server with the most for its share. Limit: its share, the hints about what it generates or follows.',
        ...missing,
        ...(figures.length > 0
          ? [`Promised: at most ${PROMISED} times its share, which this run has ${kept ? 'kept' : 'NOT kept'}.`]
          : []),
      ],
    };
  },
};

async function measure(bench: Bench, name: string, env: Record<string, string>): Promise<Figure[]> {
  bench.progress(`hints: ${name}`);
  const servers = Array.from({ length: SERVERS }, () => bench.start<ParleyCommands>('parley', env));
  const sidesWhere = (generatorOf: (index: number) => number) =>
    servers.map((followed, index) => {
      const generator = servers[generatorOf(index)] ?? followed;
      return new Side(bench, 'parley', { followed, generator });
    });
  const where = {
    'the server that follows generates': sidesWhere((index) => index),
    'the next server generates': sidesWhere((index) => (index + 1) % SERVERS),
  };
  const figures: Figure[] = [];
  for (const [how, sides] of Object.entries(where)) {
    bench.progress(`hints: ${name}, ${how}`);
    const { handled, share } = await count(servers, sides, bench.quick ? 2 : 5);
    figures.push({ what: `${name}: ${how}`, unit: '', ours: handled, limit: share });
  }
  await bench.stop();
  return figures;
}

/** Has a quarter of the conversations followed on each server; returns the count with the most for its share. */
async function count(
  servers: readonly Program<ParleyCommands>[],
  sides: readonly Side[],
  seconds: number,
): Promise<HintCount> {
  const all = (what: (side: Side) => Promise<unknown>) => Promise.all(sides.map(what));
  await all((side) => side.subscribe(CONVERSATIONS / SERVERS, 1));
  await Promise.all(
    servers.map((server, index) => {
      const own = sides.filter((side, place) => place === index || side.server === server);
      return server.call('countHints', { conversationIds: own.flatMap(({ conversationIds }) => conversationIds) });
    }),
  );
  await all((side) => side.begin());
  await all((side) => side.watch(PACE, seconds));
  await all((side) => side.finish());
  const counts = await Promise.all(servers.map((server) => server.call('hints', null)));
  const [most] = counts.toSorted((a, b) => b.handled / b.share - a.handled / a.share);
  if (!most) throw new Error('No server has counted.');
  return most;
}
