import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Bench, quantile, type Row } from '../bench.ts';
import { now } from '../clock.ts';
import type { Program } from '../process.ts';
import type { ParleyCommands } from '../programs/parley.ts';

/** The most rows that may be written in a second for one key that asks a thousand times in it. */
const PROMISED_ROWS = 25;

/** The database tells of what a connection has written only after a while. */
const STATISTICS_MS = 1500;

interface Turn {
  /** CPU of the server for each operation, in microseconds. */
  cpu: number;
  perSecond: number;
}

/** What it costs to count an operation. */
export const limiter: Row = {
  name: 'limiter',
  async run(bench) {
    const seconds = bench.quick ? 1 : 4;
    const [counted, free] = [await serve(bench, '1000000'), await serve(bench, '0')];
    bench.progress('limiter: `{ __typename }` by 20 clients with one key');
    const rows: number[] = [];
    const { ours, limit } = await bench.alternate(bench.quick ? 1 : 5, {
      ours: async () => {
        const before = await rowsWritten(bench.databaseUrl);
        const turn = await ask(counted, seconds);
        rows.push(((await rowsWritten(bench.databaseUrl)) - before) / seconds);
        return turn;
      },
      limit: () => ask(free, seconds),
    });
    const perSecond = quantile(ours.map((turn) => turn.perSecond));
    return {
      title: 'An operation that is counted for its rate limit',
      figures: [
        {
          what: 'CPU of `{ __typename }` over HTTP',
          unit: 'µs',
          ours: quantile(ours.map(({ cpu }) => cpu)),
          limit: quantile(limit.map(({ cpu }) => cpu)),
        },
        { what: 'rows written in a second', unit: '', ours: quantile(rows.slice(1)), limit: PROMISED_ROWS },
      ],
      notes: [
        `Limit: the same without a rate limit; of rows, what is promised for 1,000 operations a second of one key. These were ${Math.round(perSecond)} a second.`,
      ],
    };
  },
};

interface Served {
  program: Program<ParleyCommands>;
  url: string;
  key: string;
}

async function serve(bench: Bench, limit: string): Promise<Served> {
  const program = bench.start<ParleyCommands>('parley', { BENCH_RATE_LIMIT: limit });
  return { program, ...(await program.call('address', null)) };
}

async function ask({ program, url, key }: Served, seconds: number): Promise<Turn> {
  const request = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    body: '{"query":"{ __typename }"}',
  };
  let count = 0;
  const before = await program.call('usage', { collect: false });
  const deadline = now() + seconds * 1000;
  const client = async () => {
    for (; now() < deadline; count += 1) {
      const response = await fetch(`${url}/graphql`, request);
      if (!response.ok) throw new Error(`An operation was refused: ${response.status} ${await response.text()}`);
      await response.text();
    }
  };
  await Promise.all(Array.from({ length: 20 }, client));
  const after = await program.call('usage', { collect: false });
  return { cpu: (after.cpu - before.cpu) / count, perSecond: (count * 1000) / (after.at - before.at) };
}

async function rowsWritten(connectionString: string): Promise<number> {
  await sleep(STATISTICS_MS);
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ written: string }>(
      `SELECT n_tup_ins + n_tup_upd + n_tup_del AS written FROM pg_stat_user_tables WHERE relname = 'rate_window'`,
    );
    return Number(rows[0]?.written);
  } finally {
    await client.end();
  }
}
