import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decodeId } from '../src/ids.ts';
import { webhookLimits } from '../src/webhooks/model.ts';
import { webhookTail } from '../src/webhooks/sending/distributor.ts';
import { claimLanes, LANES_OF_ORGANIZATION, LANES_OF_SERVER } from '../src/webhooks/sending/lanes.ts';
import { addOrganization, firstOrganization } from './harness/access.ts';
import { ask } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { useServer } from './harness/server.ts';
import { change, createWebhook } from './harness/webhooks.ts';

const server = useServer({ config: { allowPrivateAddresses: true } });
const url = 'http://127.0.0.1:9/';

/** Stores so many webhooks that are on, each with its eight lanes, which are due. Not by the API: it takes fifty at most. */
async function addWebhooks(organizationId: string, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  await server.services.pool.query(
    `WITH made AS (INSERT INTO webhook (id, organization_id, url, events, selection) SELECT id, $2, $3, '{}', '{ __typename }' FROM unnest($1::uuid[]) id RETURNING id)
      INSERT INTO webhook_lane (webhook_id, organization_id, lane, due_at) SELECT id, $2, lane, now() FROM made, generate_series(0, 7) lane`,
    [ids, organizationId, url],
  );
  return ids;
}

let organizationId: string;
beforeEach(async () => {
  // What the server sends itself would be in the way.
  await server.services.webhooks.close();
  organizationId = await firstOrganization(server.services);
});
afterEach(() => server.services.pool.query('DELETE FROM webhook'));

test('webhooks that are created at once are no more than an organization may have', async () => {
  const { pool } = server.services;
  await addWebhooks(organizationId, webhookLimits.webhooks - 1);
  await pool.query('UPDATE webhook_lane SET due_at = NULL');
  const made = await Promise.all(
    Array.from({ length: 6 }, () =>
      ask<{ result: { __typename: string } }>(
        server,
        `mutation { result: createWebhook(input: { url: "${url}" }) { __typename } }`,
      ),
    ),
  );
  expect(made.filter(({ result }) => result.__typename === 'CreateWebhookPayload')).toHaveLength(1);
  const { rows } = await pool.query<{ count: number }>('SELECT count(*)::int AS count FROM webhook');
  expect(rows).toEqual([{ count: webhookLimits.webhooks }]);
});

test('rotations at once leave no more secrets than may sign', async () => {
  const { webhook } = await createWebhook(server, { url });
  await Promise.all(Array.from({ length: 6 }, () => change(server, 'rotateWebhookSecret', { webhookId: webhook.id })));
  const { rows } = await server.services.pool.query<{ count: number; signing: number }>(
    `SELECT count(*)::int AS count, (count(*) FILTER (WHERE expires_at IS NULL))::int AS signing
      FROM webhook_secret WHERE webhook_id = $1`,
    [decodeId('Webhook', webhook.id)],
  );
  expect(rows).toEqual([{ count: webhookLimits.secrets, signing: 1 }]);
});

test('a server takes no more lanes than it may of one organization, and those of others beside them', async () => {
  const { pool } = server.services;
  const other = await addOrganization(server.services);
  const me = server.services.serverId();
  await addWebhooks(organizationId, 20);
  const busy = await claimLanes(pool, me, []);
  expect(busy).toHaveLength(LANES_OF_ORGANIZATION);
  await addWebhooks(other.id, 1);
  const more = await claimLanes(pool, me, busy);
  expect(more.map((lane) => lane.organizationId)).toEqual(Array.from({ length: 8 }, () => other.id));
  const full = Array.from({ length: LANES_OF_SERVER }, (_, lane) => ({ webhookId: me, lane, organizationId: me }));
  expect(await claimLanes(pool, me, full)).toEqual([]);
});

test('a page of the log that takes too long is tried again by halves until it is done, and nothing is left out', async () => {
  const { pool } = server.services;
  await createWebhook(server, { url, events: ['conversation.created'] });
  for (let n = 0; n < 3; n += 1) await createConversation(server);
  const sizes: number[] = [];
  // As PostgreSQL does with a statement over its time limit.
  const slow = Object.create(pool) as typeof pool;
  Object.defineProperty(slow, 'query', {
    value: (statement: { name?: string; values?: unknown[] }) => {
      const seqs = statement.name === 'distribute-events' ? statement.values?.[0] : undefined;
      if (Array.isArray(seqs)) sizes.push(seqs.length);
      if (Array.isArray(seqs) && seqs.length > 2) {
        return Promise.reject(
          Object.assign(new Error('canceling statement due to statement timeout'), { code: '57014' }),
        );
      }
      return pool.query({ text: '', ...statement });
    },
  });
  await pool.query('DELETE FROM webhook_delivery');
  await pool.query(
    `UPDATE webhook_tail SET owner = NULL, epoch = 0, told = '1:1:', telling = NULL, seq = 0, beat = beat + 1`,
  );
  const distributor = webhookTail({ pool: slow, serverId: () => server.services.serverId() });
  let failures = 0;
  for (let done = false; !done;) {
    done = await distributor.advance().then(
      () => true,
      () => false,
    );
    failures += done ? 0 : 1;
    if (failures > 20) throw new Error('It never gets done.');
  }
  expect(failures).toBeGreaterThan(0);
  expect(Math.max(...sizes)).toBeGreaterThan(2);
  const { rows } = await pool.query<{ count: number }>(
    `SELECT count(DISTINCT seq)::int AS count FROM webhook_delivery WHERE event = 'ConversationCreated'`,
  );
  expect(rows).toEqual([{ count: 3 }]);
});
