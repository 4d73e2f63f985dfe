import { type Bench, type Figure, quantile, type Row } from '../bench.ts';
import { type Seen, Side } from '../delivery.ts';
import type { ModelServerCommands } from '../programs/model-server.ts';

const REPLIES = 100;
const PACE = { perSecond: 50 };

/** What is promised: at most so many times the CPU of the bare proxy, and so many milliseconds more. */
const PROMISED = { cpu: 2.5, addedMs: 50, carried: 0.9 };

/** A server carries what it delivers within this, in milliseconds, all but one in a hundred. */
const CARRIED_MS = 100;

/** With how many the search for the most begins, and by how many times each try is more than the one before. */
const FIRST = 50;
const STEP = 1.2;

/** What the replies of a language model cost that are read, stored and followed. */
export const streams: Row = {
  name: 'streams',
  async run(bench) {
    const source = bench.start<ModelServerCommands>('model-server');
    const env = {
      BENCH_RUNTIME: 'model',
      PARLEY_MODEL_URL: await source.call('address', null),
      PARLEY_MODEL: 'bench',
      // The time from a token of the model to its client is what is measured.
      MAX_CONNECTIONS_PER_VIEWER: '10000',
    };
    const ours = new Side(bench, 'parley', { env, source });
    const figures = [
      ...(await cost(bench, ours, new Side(bench, 'plain-proxy', { env, source }))),
      await carried(bench, ours, new Side(bench, 'naive-yoga', { env, source })),
    ];
    return {
      title: `Replies of a model at ${PACE.perSecond} tokens/s, 1 subscriber each, by WebSocket`,
      figures,
      notes: [
        'From when the model server writes a token until the client has it; the CPU is that of the server alone.',
        'Limit: a plain server on ws that writes what it reads from the model to the socket, and stores nothing.',
        'Carried: until p99 passes 100 ms, with the model, the clients and the database on the same machine. Limit: a',
        'plain Yoga with graphql-ws and its pub/sub, which stores nothing.',
        `Promised: CPU at most ${PROMISED.cpu} times, p99 at most ${PROMISED.addedMs} ms more, carried at least ` +
          `${PROMISED.carried} times.`,
      ],
    };
  },
};

async function cost(bench: Bench, ours: Side, limit: Side): Promise<Figure[]> {
  bench.progress(`streams: ${REPLIES} replies`);
  const seconds = bench.quick ? 2 : 3;
  const look = (side: Side) => async () => {
    await begin(side, REPLIES);
    const seen = await side.watch(PACE, seconds);
    await side.finish();
    return { cpu: seen.cpu / seen.tokens, p50: quantile(seen.delays), p99: quantile(seen.delays, 0.99) };
  };
  const seen = await bench.alternate(bench.quick ? 2 : 5, { ours: look(ours), limit: look(limit) });
  const figure = (what: string, unit: string, of: 'cpu' | 'p50' | 'p99'): Figure => ({
    what: `${REPLIES} replies: ${what}`,
    unit,
    ours: quantile(seen.ours.map((one) => one[of])),
    limit: quantile(seen.limit.map((one) => one[of])),
  });
  return [figure('CPU for a token', 'µs', 'cpu'), figure('p50', 'ms', 'p50'), figure('p99', 'ms', 'p99')];
}

async function carried(bench: Bench, ours: Side, limit: Side): Promise<Figure> {
  const look = (side: Side) => () => mostCarried(bench, side);
  const seen = await bench.alternate(bench.quick ? 1 : 3, { ours: look(ours), limit: look(limit) }, 0);
  return {
    what: `as many as are carried before p99 passes ${CARRIED_MS} ms`,
    unit: '',
    ours: quantile(seen.ours),
    limit: quantile(seen.limit),
  };
}

/** Tries more and more replies until they are too many, twice: something else may have held up the machine once. */
async function mostCarried(bench: Bench, side: Side): Promise<number> {
  let most = 0;
  for (let replies = FIRST, failures = 0; failures < 2;) {
    await begin(side, replies);
    const seen = await side.watch(PACE, bench.quick ? 1 : 2);
    await side.finish();
    bench.progress(`    ${replies}: p99 ${Math.round(quantile(seen.delays, 0.99))} ms`);
    if (isCarried(seen)) {
      most = replies;
      failures = 0;
      replies = Math.round(replies * STEP);
    } else {
      failures += 1;
    }
  }
  return most;
}

/** A model that is held up itself falls behind its pace. */
function isCarried({ delays, perSecond }: Seen): boolean {
  return quantile(delays, 0.99) <= CARRIED_MS && perSecond >= 0.9 * PACE.perSecond;
}

async function begin(side: Side, replies: number): Promise<void> {
  await side.subscribe(replies, 1);
  await side.begin({ stamped: true });
}
