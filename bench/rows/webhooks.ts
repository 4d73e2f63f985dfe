import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Bench, quantile, type Row } from '../bench.ts';
import { now } from '../clock.ts';
import type { Program } from '../process.ts';
import type { HookReceiverCommands } from '../programs/hook-receiver.ts';
import type { ParleyCommands } from '../programs/parley.ts';
import type { PlainPostsCommands } from '../programs/plain-posts.ts';

const CONVERSATIONS = 100;
/** How long an idle server is watched, in milliseconds. */
const IDLE_MS = 1000;
/** As many as a webhook has lanes. */
const CONNECTIONS = 8;

/** What a delivery costs beside a bare POST, and what an endpoint that is slow does to another. */
export const webhooks: Row = {
  name: 'webhooks',
  async run(bench) {
    const receiver = bench.start<HookReceiverCommands>('hook-receiver');
    const plain = bench.start<PlainPostsCommands>('plain-posts');
    const parley = bench.start<ParleyCommands>('parley', { ALLOW_PRIVATE_ADDRESSES: 'true' });
    const ask = await asker(parley);
    const { url, slowUrl } = await receiver.call('address', null);
    bench.progress('webhooks: sends the messages that are delivered');
    await parley.call('openNumbered', { conversations: CONVERSATIONS });
    let count = 0;
    for (const wanted = bench.quick ? 500 : 2000; count < wanted; count = await countMessages(bench.databaseUrl)) {
      await parley.call('send', { conversations: CONVERSATIONS, connections: 10, seconds: 0.5 });
    }
    const quick = await createWebhook(ask, url);
    let bodies: string[] = [];
    const ours = async () => {
      await receiver.call('begin', null);
      const idle = await idleCpu(parley);
      const [before, start] = [await parley.call('usage', { collect: false }), now()];
      await ask(
        `mutation { replayWebhook(input: { webhookId: "${quick}", from: { time: "2020-01-01T00:00:00Z" } }) { __typename } }`,
      );
      ({ bodies } = await receiver.call('until', { count }));
      const [after, end] = [await parley.call('usage', { collect: false }), now()];
      const own = after.cpu - before.cpu - idle * (after.at - before.at);
      return { perSecond: (count * 1000) / (end - start), cpu: own / count };
    };
    const limit = () => plain.call('post', { url, bodies, connections: CONNECTIONS });
    const costs = await bench.alternate(bench.quick ? 1 : 5, { ours, limit }, bench.quick ? 1 : 4);
    const slow = await createWebhook(ask, slowUrl);
    const p99 = await beside(bench, { parley, receiver, ask, slow });
    const middle = (of: { perSecond: number; cpu: number }[], what: 'perSecond' | 'cpu') =>
      quantile(of.map((each) => each[what]));
    return {
      title: `Webhooks: ${count} events, default selection, one endpoint`,
      figures: [
        { what: 'CPU of a delivery', unit: 'µs', ours: middle(costs.ours, 'cpu'), limit: middle(costs.limit, 'cpu') },
        {
          what: 'deliveries in a second (more is better)',
          unit: '',
          ours: middle(costs.ours, 'perSecond'),
          limit: middle(costs.limit, 'perSecond'),
        },
        { what: 'p99 from event to arrival, beside one of 15 s', unit: 'ms', ours: p99.ours, limit: p99.limit },
      ],
      notes: [
        `Ours: from the log to the record of the answer, as a replay. Limit: the same bodies, posted by Node's HTTP client over ${CONNECTIONS} connections.`,
        'CPU is that of Node, less what the server takes in as long a time when nothing is asked of it.',
        'The p99: ours beside an endpoint that takes 15 s for each; limit without it.',
      ],
    };
  },
};

/** What a server that has nothing to do takes, in microseconds for each millisecond. */
async function idleCpu(parley: Program<ParleyCommands>): Promise<number> {
  const before = await parley.call('usage', { collect: false });
  await sleep(IDLE_MS);
  const after = await parley.call('usage', { collect: false });
  return (after.cpu - before.cpu) / (after.at - before.at);
}

type Ask = (query: string) => Promise<string>;

async function asker(parley: Program<ParleyCommands>): Promise<Ask> {
  const { url, key } = await parley.call('address', null);
  return async (query) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
    return response.text();
  };
}

async function createWebhook(ask: Ask, url: string): Promise<string> {
  const answer = await ask(
    `mutation { createWebhook(input: { url: "${url}", events: ["message.created"] }) { ... on CreateWebhookPayload { webhook { id } } } }`,
  );
  const [id] = /webhook_[0-9a-z]+/.exec(answer) ?? [];
  if (id === undefined) throw new Error(`There is no webhook: ${answer}`);
  return id;
}

async function countMessages(databaseUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM event WHERE type = 'MessageCreated'`,
  );
  await client.end();
  return rows[0]?.count ?? 0;
}

/** The p99 of the delays of the quick endpoint, with the slow one on and off. */
async function beside(
  bench: Bench,
  options: { parley: Program<ParleyCommands>; receiver: Program<HookReceiverCommands>; ask: Ask; slow: string },
): Promise<{ ours: number; limit: number }> {
  const { parley, receiver, ask, slow } = options;
  const seconds = bench.quick ? 1 : 5;
  const measure = async (status: 'ON' | 'OFF') => {
    await ask(`mutation { updateWebhook(input: { webhookId: "${slow}", status: ${status} }) { __typename } }`);
    await receiver.call('begin', null);
    const rate = await parley.call('send', { conversations: CONVERSATIONS, connections: 1, seconds });
    const { delays } = await receiver.call('until', { count: Math.floor(rate * seconds * 0.98) });
    return quantile(delays, 0.99);
  };
  const turns = await bench.alternate(bench.quick ? 1 : 3, { ours: () => measure('ON'), limit: () => measure('OFF') });
  return { ours: quantile(turns.ours), limit: quantile(turns.limit) };
}
