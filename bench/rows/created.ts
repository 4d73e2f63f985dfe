import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { encodeId } from '../../src/ids.ts';
import type { Row } from '../bench.ts';
import { now } from '../clock.ts';
import type { ParleyCommands } from '../programs/parley.ts';

/** How many transactions a conversation may take that begins with a message and its reply of one word. */
const PROMISED_TRANSACTIONS = 9;

/** The database tells of what a connection has committed only after a while. */
const STATISTICS_MS = 1500;

const query = `mutation Create($input: CreateConversationInput!) { createConversation(input: $input) {
  __typename ... on CreateConversationPayload { reply { status text } } } }`;

/** What it costs to create a conversation and to await its first reply. */
export const created: Row = {
  name: 'created',
  async run(bench) {
    const parley = bench.start<ParleyCommands>('parley');
    const { url, key } = await parley.call('address', null);
    await parley.call('reply', { conversationIds: [], script: { tokens: 1, perSecond: 1000 } });
    const db = new pg.Client({ connectionString: bench.databaseUrl });
    await db.connect();
    const committed = async () => {
      await sleep(STATISTICS_MS);
      const { rows } = await db.query<{ committed: string }>(
        'SELECT xact_commit AS committed FROM pg_stat_database WHERE datname = current_database()',
      );
      return { at: now(), count: Number(rows[0]?.committed) };
    };
    try {
      const { rows } = await db.query<{ id: string }>("SELECT id FROM agent WHERE name = 'Bench'");
      const input = {
        agentId: encodeId('Agent', rows[0]?.id ?? ''),
        message: { content: { text: 'Hello?' } },
        awaitReply: true,
      };
      const create = async () => {
        const response = await fetch(`${url}/graphql`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
          body: JSON.stringify({ query, variables: { input } }),
        });
        const answer = await response.text();
        if (!answer.includes('"DONE"')) throw new Error(`There was no reply: ${answer}`);
      };
      const count = bench.quick ? 30 : 300;
      bench.progress(`created: ${count} conversations, one after the other`);
      for (let i = 0; i < count; i += 1) await create();
      const measure = async (work: () => Promise<unknown>) => {
        const before = await committed();
        const usage = await parley.call('usage', { collect: false });
        await work();
        const spent = (await parley.call('usage', { collect: false })).cpu - usage.cpu;
        const after = await committed();
        return { cpu: spent, transactions: after.count - before.count, ms: after.at - before.at };
      };
      // What the server commits by itself is not to be counted.
      const idle = await measure(() => sleep(bench.quick ? 1000 : 4000));
      const busy = await measure(async () => {
        for (let i = 0; i < count; i += 1) await create();
      });
      const byItself = (idle.transactions / idle.ms) * busy.ms;
      return {
        title: 'A conversation that is created with a message, and its reply of one word awaited',
        figures: [
          {
            what: 'transactions',
            unit: '',
            ours: (busy.transactions - byItself) / count,
            limit: PROMISED_TRANSACTIONS,
          },
          { what: 'CPU of the server', unit: 'µs', ours: busy.cpu / count, limit: null },
        ],
        notes: ['Limit: what is promised. One after the other, over HTTP.'],
      };
    } finally {
      await db.end();
    }
  },
};
