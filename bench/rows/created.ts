import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { encodeId } from '../../src/ids.ts';
import type { Row } from '../bench.ts';
import type { ParleyCommands } from '../programs/parley.ts';

/** How many transactions a conversation may take that begins with a message and its reply of one word. */
const PROMISED_TRANSACTIONS = 9;

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
      const count = bench.quick ? 100 : 300;
      bench.progress(`created: ${count} conversations, one after the other`);
      for (let i = 0; i < count; i += 1) await create();
      const measure = async (work: () => Promise<unknown>) => {
        const used = async () => ({
          transactions: await parley.call('transactions', null),
          ...(await parley.call('usage', { collect: false })),
        });
        const before = await used();
        await work();
        const after = await used();
        return {
          cpu: after.cpu - before.cpu,
          transactions: after.transactions - before.transactions,
          ms: after.at - before.at,
        };
      };
      // What the server does by itself is not to be counted.
      const idle = await measure(() => sleep(bench.quick ? 2000 : 4000));
      const busy = await measure(async () => {
        for (let i = 0; i < count; i += 1) await create();
      });
      const own = (of: 'transactions' | 'cpu') => (busy[of] - (idle[of] / idle.ms) * busy.ms) / count;
      return {
        title: 'A conversation that is created with a message, and its reply of one word awaited',
        figures: [
          {
            what: 'transactions',
            unit: '',
            ours: own('transactions'),
            limit: PROMISED_TRANSACTIONS,
          },
          { what: 'CPU of the server', unit: 'µs', ours: own('cpu'), limit: null },
        ],
        notes: ['Limit: what is promised. One after the other, over HTTP; less what the server does by itself.'],
      };
    } finally {
      await db.end();
    }
  },
};
