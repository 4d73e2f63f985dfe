import pg from 'pg';
import { quantile, type Row } from '../bench.ts';
import { pgbench, pgbenchVersion } from '../pgbench.ts';
import type { ParleyCommands } from '../programs/parley.ts';
import type { PlainPgCommands } from '../programs/plain-pg.ts';

/** How many messages a second are sent. */
export const sends: Row = {
  name: 'sends',
  async run(bench) {
    const parley = bench.start<ParleyCommands>('parley');
    const [conversations, connections, seconds] = [500, 10, bench.quick ? 1 : 4];
    bench.progress(`sends: ${connections} connections, ${conversations} conversations`);
    await parley.call('openNumbered', { conversations });
    const statement = await parley.call('statement', null);
    const version = await pgbenchVersion();
    const plain = version === null ? bench.start<PlainPgCommands>('plain-pg') : null;
    const newId = await newIdSql(bench.databaseUrl);
    const options = { statement, conversations, connections, seconds };
    const { ours, limit } = await bench.alternate(bench.quick ? 1 : 3, {
      ours: () => parley.call('send', { conversations, connections, seconds }),
      limit: () => plain?.call('send', options) ?? pgbench(bench.databaseUrl, { ...options, newId }),
    });
    return {
      title: `Messages sent, action NONE, ${connections} connections`,
      figures: [{ what: 'sends in a second (more is better)', unit: '', ours: quantile(ours), limit: quantile(limit) }],
      notes: [
        'Ours: `sendMessage` with all that it checks. Limit: its statement alone, prepared, from ' +
          (version ?? 'a plain pg pool in Node, since pgbench is not installed') +
          '.',
      ],
    };
  },
};

/** Ids in the order of time where PostgreSQL can make them, as Parley's are. */
async function newIdSql(databaseUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query("SELECT FROM pg_proc WHERE proname = 'uuidv7'");
    return rowCount ? 'uuidv7()' : 'gen_random_uuid()';
  } finally {
    await client.end();
  }
}
