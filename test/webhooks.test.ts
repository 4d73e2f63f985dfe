import { randomUUID } from 'node:crypto';
import { afterAll, expect, test, vi } from 'vitest';
import { findViewerByKey } from '../src/access/api-keys.ts';
import { readLogPage } from '../src/conversations/log/read.ts';
import { payloadMaker } from '../src/graphql/webhook-payloads.ts';
import { decodeId } from '../src/ids.ts';
import { addKey, firstOrganization } from './harness/access.ts';
import { ask } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { openReceiver, type Receiver, verifies } from './harness/receiver.ts';
import { useServer } from './harness/server.ts';
import { change, createWebhook, readDeliveries, readWebhook } from './harness/webhooks.ts';

const server = useServer({ config: { allowPrivateAddresses: true } });
const receivers: Receiver[] = [];
const open = async () => {
  const receiver = await openReceiver();
  receivers.push(receiver);
  return receiver;
};
afterAll(() => Promise.all(receivers.map((receiver) => receiver.close())));

const begin = async () => (await createConversation(server, { action: 'NONE' })).conversation.id;
const rename = (id: string, title: string) =>
  ask(
    server,
    'mutation ($id: ID!, $title: String!) { updateConversation(input: { conversationId: $id, title: $title }) { __typename } }',
    { id, title },
  );
const of = (conversation: string) => (each: { payload: { data: Record<string, unknown> } }) =>
  each.payload.data.conversationId === conversation;
/** Makes what waits for a retry due. */
const hasten = async () => {
  await server.services.pool.query(`UPDATE webhook_delivery SET due_at = now() WHERE status = 'PENDING' AND tries > 0`);
  await server.services.pool.query(`UPDATE webhook_lane SET due_at = now(), wakes = wakes + 1`);
  server.services.webhooks.wake();
};

test('each event arrives signed, in the order of its conversation, as the selection shows it', async () => {
  const receiver = await open();
  const { webhook, secret } = await createWebhook(server, {
    url: receiver.url,
    selection:
      '{ __typename conversationId ... on VersionedEvent { version } ...Said } fragment Said on MessageCreated { message { text } }',
  });
  receiver.secrets.push(secret);
  expect(secret).toMatch(/^whsec_/);
  const id = await begin();
  await send(server, { conversationId: id, content: { text: 'Hello' }, action: 'NONE' });
  for (const title of ['A', 'B', 'C']) await rename(id, title);
  const received = (await receiver.until((all) => all.filter(of(id)).length === 5)).filter(of(id));
  expect(received.map(({ payload }) => payload.type)).toEqual([
    'conversation.created',
    'message.created',
    ...Array<string>(3).fill('conversation.updated'),
  ]);
  expect(received.map(({ payload }) => payload.data.version)).toEqual([1, 2, 3, 4, 5]);
  expect(received[1]?.payload).toEqual({
    type: 'message.created',
    timestamp: expect.stringMatching(/Z$/),
    data: { __typename: 'MessageCreated', conversationId: id, version: 2, message: { text: 'Hello' } },
  });
  expect(received.every(({ verified }) => verified)).toBe(true);
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id, 'DELIVERED')).length >= 5);
  const [first] = (await readDeliveries(server, webhook.id)).filter(({ conversationId }) => conversationId === id);
  expect(first).toMatchObject({ id: received[0]?.id, event: 'conversation.created', status: 'DELIVERED' });
  expect(first?.attempts).toMatchObject([{ statusCode: 204, error: null }]);
});

test('a test arrives like any other event, and both secrets sign after a rotation', async () => {
  const receiver = await open();
  const { webhook, secret } = await createWebhook(server, { url: receiver.url, events: ['conversation.ended'] });
  const { secret: second = '' } = await change(server, 'rotateWebhookSecret', { webhookId: webhook.id });
  expect(second).not.toBe(secret);
  await change(server, 'testWebhook', { webhookId: webhook.id });
  const [received] = await receiver.until(1);
  expect(received?.payload).toMatchObject({ type: 'webhook.test', data: { webhookId: webhook.id } });
  const { body = '', headers = {} } = received ?? {};
  expect([secret, second].map((each) => verifies(each, body, headers))).toEqual([true, true]);
  expect(verifies(secret, `${body} `, headers)).toBe(false);

  // A day later only the new one does; of four, the last three.
  await server.services.pool.query(`UPDATE webhook_secret SET expires_at = now() WHERE expires_at IS NOT NULL`);
  await change(server, 'testWebhook', { webhookId: webhook.id });
  const [, later] = await receiver.until(2);
  const verified = [secret, second].map((each) => verifies(each, later?.body ?? '', later?.headers ?? {}));
  expect(verified).toEqual([false, true]);
  const more: string[] = [];
  for (let i = 0; i < 3; i += 1) {
    more.push((await change(server, 'rotateWebhookSecret', { webhookId: webhook.id })).secret ?? '');
  }
  await change(server, 'testWebhook', { webhookId: webhook.id });
  const [, , last] = await receiver.until(3);
  expect([second, ...more].map((each) => verifies(each, last?.body ?? '', last?.headers ?? {}))).toEqual([
    false,
    true,
    true,
    true,
  ]);
});

test('410 switches a webhook off for good, five days of failure do, and being switched on sends what waited', async () => {
  const receiver = await open();
  receiver.answer = (_request, response) => response.writeHead(410).end();
  const gone = await createWebhook(server, { url: receiver.url, events: ['conversation.created'] });
  await begin();
  await vi.waitUntil(async () => (await readWebhook(server, gone.webhook.id)).status === 'OFF');
  expect((await readWebhook(server, gone.webhook.id)).disabledReason).toContain('410');
  expect(await readDeliveries(server, gone.webhook.id)).toMatchObject([{ status: 'FAILED' }]);
  expect(await change(server, 'testWebhook', { webhookId: gone.webhook.id })).toMatchObject({
    __typename: 'InvalidInputError',
  });

  receiver.answer = (_request, response) => response.writeHead(503).end();
  const failing = await createWebhook(server, { url: receiver.url, events: ['conversation.created'] });
  const first = await begin();
  await vi.waitUntil(async () => (await readWebhook(server, failing.webhook.id)).failingSince !== null);
  await server.services.pool.query(
    `UPDATE webhook SET failing_since = now() - interval '5 days 1 minute' WHERE failing_since IS NOT NULL`,
  );
  await hasten();
  await vi.waitUntil(async () => (await readWebhook(server, failing.webhook.id)).status === 'OFF');
  expect((await readWebhook(server, failing.webhook.id)).disabledReason).toContain('5 days');
  const missed = await begin();

  receiver.answer = (_request, response) => response.writeHead(204).end();
  await hasten();
  await change(server, 'updateWebhook', { webhookId: failing.webhook.id, status: 'ON' });
  await vi.waitUntil(async () => (await readDeliveries(server, failing.webhook.id, 'DELIVERED')).length === 1);
  const after = await begin();
  await receiver.until((all) => all.some(of(after)));
  const told = (await readDeliveries(server, failing.webhook.id)).map(({ conversationId }) => conversationId);
  expect(told).toEqual([first, after]);
  expect(told).not.toContain(missed);
});

test('what was missed can be replayed, from a position and from a time', async () => {
  const receiver = await open();
  const { webhook } = await createWebhook(server, { url: receiver.url, events: ['conversation.updated'] });
  const id = await begin();
  const began = new Date();
  for (const title of ['A', 'B', 'C']) await rename(id, title);
  const first = (await receiver.until(3)).map(({ payload }) => payload.data.version);
  expect(first).toEqual([2, 3, 4]);
  const [one] = await readDeliveries(server, webhook.id);
  await change(server, 'replayWebhook', { webhookId: webhook.id, from: { position: one?.position } });
  const again = (await receiver.until(5)).slice(3);
  expect(again.map(({ payload }) => payload.data.version)).toEqual([3, 4]);
  expect(new Set(receiver.received.map((received) => received.id)).size).toBe(5);
  await vi.waitUntil(async () => (await server.services.prisma.webhookReplay.count()) === 0);
  await change(server, 'replayWebhook', { webhookId: webhook.id, from: { time: began } });
  const all = (await receiver.until(8)).slice(5).map(({ payload }) => payload.data.version);
  expect(all).toEqual([2, 3, 4]);
  expect(await change(server, 'replayWebhook', { webhookId: webhook.id, from: { position: 'x' } })).toMatchObject({
    __typename: 'InvalidInputError',
  });
});

test('a replay that cannot go on hinders no other, and one goes on past pages that hold nothing of its own', async () => {
  const { pool, prisma } = server.services;
  const receiver = await open();
  const input = { url: receiver.url, events: ['conversation.ended'] };
  const [{ webhook: broken }, { webhook }] = [await createWebhook(server, input), await createWebhook(server, input)];
  const organizationId = await firstOrganization(server.services);
  await pool.query(
    `INSERT INTO event (conversation_id, version, organization_id, type, actor)
      SELECT gen_random_uuid(), 1, $1, 'ConversationUpdated', '{}' FROM generate_series(1, 5100)`,
    [randomUUID()],
  );
  await pool.query(
    `INSERT INTO webhook_replay (webhook_id, organization_id, epoch, told, seq, until, until_epoch)
      SELECT $1, $2, current_epoch(), '5:3:', 0, pg_current_snapshot()::text, current_epoch()`,
    [decodeId('Webhook', broken.id), organizationId],
  );
  await change(server, 'replayWebhook', { webhookId: webhook.id, from: { time: new Date(0) } });
  const where = { webhookId: decodeId('Webhook', webhook.id) ?? '' };
  await vi.waitUntil(async () => (await prisma.webhookReplay.count({ where })) === 0, { timeout: 8000 });
  await pool.query('DELETE FROM webhook_replay');
  const position = Buffer.from('1/5:3://0').toString('base64url');
  expect(await change(server, 'replayWebhook', { webhookId: webhook.id, from: { position } })).toMatchObject({
    __typename: 'InvalidInputError',
  });
});

test('a delivery can be sent again, and one of a deleted conversation is gone', async () => {
  const receiver = await open();
  const { webhook } = await createWebhook(server, {
    url: receiver.url,
    events: ['conversation.created', 'conversation.deleted'],
  });
  const id = await begin();
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id, 'DELIVERED')).length === 1);
  const [delivery] = await readDeliveries(server, webhook.id);
  expect(await change(server, 'retryDelivery', { deliveryId: delivery?.id })).toEqual({
    __typename: 'RetryDeliveryPayload',
  });
  const [one, two] = await receiver.until(2);
  expect(two).toMatchObject({ id: one?.id, body: one?.body });
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id, 'DELIVERED'))[0]?.attempts.length === 2);
  await ask(server, 'mutation ($id: ID!) { deleteConversation(input: { conversationId: $id }) { __typename } }', {
    id,
  });
  const [, , last] = await receiver.until(3);
  expect(last?.payload).toMatchObject({ type: 'conversation.deleted', data: { conversationId: id } });
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id)).length === 1);
  expect(await readDeliveries(server, webhook.id)).toMatchObject([{ event: 'conversation.deleted' }]);
});

test('a conversation is deleted with more deliveries than one statement removes, and delays no other event', async () => {
  const { pool, prisma } = server.services;
  const receiver = await open();
  const { webhook } = await createWebhook(server, { url: receiver.url, events: ['conversation.created'] });
  const id = await begin();
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id, 'DELIVERED')).length === 1);
  await pool.query(
    `INSERT INTO webhook_delivery (id, organization_id, webhook_id, lane, event, conversation_id, status)
      SELECT gen_random_uuid(), organization_id, webhook_id, lane, event, conversation_id, status
      FROM webhook_delivery, generate_series(1, 6000) WHERE conversation_id = $1 AND webhook_id = $2`,
    [decodeId('Conversation', id), decodeId('Webhook', webhook.id)],
  );
  // Rows of that conversation that somebody holds keep its deliveries from being removed, and nothing else.
  const holder = await pool.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT FROM webhook_delivery WHERE conversation_id = $1 FOR UPDATE', [
      decodeId('Conversation', id),
    ]);
    await ask(server, 'mutation ($id: ID!) { deleteConversation(input: { conversationId: $id }) { __typename } }', {
      id,
    });
    const next = await begin();
    await receiver.until((all) => all.some(of(next)));
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
  const where = { conversationId: decodeId('Conversation', id) ?? '', event: { not: 'ConversationDeleted' } };
  await vi.waitUntil(async () => (await prisma.webhookDelivery.count({ where })) === 0, { timeout: 10_000 });
  await vi.waitUntil(async () => (await prisma.webhookErasure.count()) === 0);
});

test('a revoked key switches its webhook off, unless another key has adopted it', async () => {
  const { services } = server;
  const organizationId = await firstOrganization(services);
  const keys = [await addKey(services, { organizationId }), await addKey(services, { organizationId })];
  const receiver = await open();
  const input = { url: receiver.url, events: ['conversation.created'] };
  const made = await Promise.all(keys.map(({ secret }) => createWebhook({ url: server.url, key: secret }, input)));
  const [orphan = '', adopted = ''] = made.map(({ webhook }) => webhook.id);
  await change(server, 'updateWebhook', { webhookId: adopted, adopt: true });
  for (const { id } of keys) {
    await ask(server, 'mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }', { id });
  }
  const id = await begin();
  await receiver.until((all) => all.some(of(id)));
  await vi.waitUntil(async () => (await readWebhook(server, orphan)).status === 'OFF');
  const shown = await Promise.all([orphan, adopted].map((webhook) => readWebhook(server, webhook)));
  expect(shown).toMatchObject([{ disabledReason: expect.stringContaining('revoked') }, { status: 'ON' }]);
  expect(receiver.received).toHaveLength(1);
  expect(await change(server, 'updateWebhook', { webhookId: orphan, status: 'ON' })).toMatchObject({
    __typename: 'InvalidInputError',
  });
  await change(server, 'updateWebhook', { webhookId: orphan, status: 'ON', adopt: true });
  await receiver.until(2);
});

test.each([
  ['not of the schema', '{ nothing }', 'Cannot query field'],
  ['not a selection', '__typename', 'Must begin with a brace'],
  ['broken', '{ __typename', 'Syntax Error'],
  ['more than a selection', '{ __typename } query Q { viewer { kind } }', 'only fields in braces'],
  ['closed too early', '{ __typename } } { viewer { kind } ', 'Syntax Error'],
  ['of variables', '{ conversationId @include(if: $yes) }', '"$yes" is not defined'],
  [
    'too dear',
    '{ ... on VersionedEvent { conversation { messages(first: 100) { nodes { fragments { id } conversation { messages(first: 100) { nodes { fragments { id } } } } } } } } }',
    'costs too much',
  ],
  [
    'too deep',
    `{ ... on VersionedEvent { conversation { ${'lastMessage { conversation { '.repeat(8)}id${' } }'.repeat(8)} } } }`,
    'depth',
  ],
  ['too long', `{ __typename #${' '.repeat(16_384)}\n}`, 'characters'],
])('a selection that is %s is refused when it is given', async (_what, selection, detail) => {
  const result = await ask<{ createWebhook: { __typename: string; detail: string } }>(
    server,
    `mutation ($input: CreateWebhookInput!) { createWebhook(input: $input) { __typename ... on UserError { detail } } }`,
    { input: { url: 'https://example.com/hook', selection } },
  );
  expect(result.createWebhook).toEqual({ __typename: 'InvalidInputError', detail: expect.stringContaining(detail) });
});

test('a payload that is too large is not sent, and its delivery says so', async () => {
  const receiver = await open();
  const { webhook } = await createWebhook(server, {
    url: receiver.url,
    events: ['message.created'],
    selection: '{ conversationId ... on MessageCreated { message { text } } }',
  });
  const id = await begin();
  await send(server, { conversationId: id, content: { text: 'x'.repeat(256 * 1024) }, action: 'NONE' });
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id, 'FAILED')).length === 1);
  const [delivery] = await readDeliveries(server, webhook.id);
  expect(delivery?.attempts).toMatchObject([{ statusCode: null, error: expect.stringContaining('Select less') }]);
  expect(receiver.received).toEqual([]);
});

test('events whose rows are too large to be read together arrive in order like others', async () => {
  const receiver = await open();
  const { webhook } = await createWebhook(server, {
    url: receiver.url,
    events: ['message.created'],
    selection: '{ conversationId ... on MessageCreated { message { position } } }',
  });
  const began = new Date();
  const id = await begin();
  const texts = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(400 * 1024));
  for (const text of texts) await send(server, { conversationId: id, content: { text }, action: 'NONE' });
  await receiver.until(4);
  await change(server, 'replayWebhook', { webhookId: webhook.id, from: { time: began } });
  const again = (await receiver.until(8)).slice(4);
  expect(again.map(({ payload }) => payload.data.message)).toEqual([0, 1, 2, 3].map((position) => ({ position })));
});

test('of payloads that are large no more are made at a time than are sent next, and all arrive, each once and in order', async () => {
  const { pool } = server.services;
  const receiver = await open();
  const selection = '{ conversationId ... on MessageCreated { message { position text } } }';
  const { webhook } = await createWebhook(server, { url: receiver.url, events: ['message.created'], selection });
  const began = new Date();
  const id = await begin();
  for (let n = 0; n < 20; n += 1) {
    await send(server, { conversationId: id, content: { text: 'x'.repeat(120 * 1024) }, action: 'NONE' });
  }
  await receiver.until(20);
  await change(server, 'replayWebhook', { webhookId: webhook.id, from: { time: began } });
  const again = (await receiver.until(40)).slice(20);
  expect(again.map(({ payload }) => payload.data.message)).toMatchObject(
    Array.from({ length: 20 }, (_, position) => ({ position })),
  );

  const conversationId = decodeId('Conversation', id) ?? '';
  const events = await readLogPage(pool, conversationId, { after: 1, before: 2 ** 31 - 1, limit: 20, inverted: false });
  const viewer = await findViewerByKey(pool, server.key);
  if (!viewer) throw new Error('The key of the server is unknown.');
  const placed = events.map((event) => ({ conversationId, event }));
  const read = await payloadMaker(() => server.services).read(viewer, selection, placed, 512 * 1024);
  expect(placed).toHaveLength(20);
  // The first five hold more than that.
  expect(read).toHaveLength(5);
});

test('what fails is tried again with the same id and the same bytes', async () => {
  const receiver = await open();
  const { webhook, secret } = await createWebhook(server, { url: receiver.url, events: ['conversation.created'] });
  receiver.secrets.push(secret);
  receiver.answer = (_request, response) => response.writeHead(500).end('Out of order');
  const id = await begin();
  await receiver.until((all) => all.some(of(id)));
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id))[0]?.attempts.length === 1);
  const [failed] = await readDeliveries(server, webhook.id);
  expect(failed).toMatchObject({
    status: 'PENDING',
    attempts: [{ statusCode: 500, error: expect.stringContaining('Out of order') }],
  });
  expect(failed?.nextAttemptAt).not.toBeNull();
  expect((await readWebhook(server, webhook.id)).failingSince).not.toBeNull();
  await rename(id, 'Changed since');
  receiver.answer = (_request, response) => response.writeHead(200).end();
  await hasten();
  const [one, two] = await receiver.until(2);
  expect(two).toMatchObject({ id: one?.id, body: one?.body, verified: true });
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id, 'DELIVERED')).length === 1);
  expect((await readWebhook(server, webhook.id)).failingSince).toBeNull();
});

test('a lane whose events cannot be read rests before it is tried again', async () => {
  const { services } = server;
  const receiver = await open();
  const { webhook } = await createWebhook(server, { url: receiver.url, events: ['conversation.created'] });
  const read = vi.spyOn(services.payloads, 'read').mockRejectedValue(new Error('of this test'));
  const where = {
    webhookId: decodeId('Webhook', webhook.id) ?? '',
    dueAt: { gt: new Date(Date.now() + 3000) },
    owner: null,
  };
  const id = await begin();
  try {
    await vi.waitUntil(async () => (await services.prisma.webhookLane.count({ where })) === 1);
  } finally {
    read.mockRestore();
  }
  await hasten();
  await receiver.until((all) => all.some(of(id)));
});

test('a webhook is deleted with more deliveries than one statement removes, and is hidden at once', async () => {
  const { pool, prisma } = server.services;
  const receiver = await open();
  const { webhook } = await createWebhook(server, { url: receiver.url, events: ['conversation.created'] });
  const id = decodeId('Webhook', webhook.id) ?? '';
  await begin();
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id, 'DELIVERED')).length === 1);
  await pool.query(
    `INSERT INTO webhook_delivery (id, organization_id, webhook_id, lane, event, conversation_id, status)
      SELECT gen_random_uuid(), organization_id, webhook_id, lane, event, conversation_id, status
      FROM webhook_delivery, generate_series(1, 6000) WHERE webhook_id = $1`,
    [id],
  );
  const [delivery] = await readDeliveries(server, webhook.id);
  const holder = await pool.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT FROM webhook_delivery WHERE webhook_id = $1 FOR UPDATE', [id]);
    expect(await change(server, 'deleteWebhook', { webhookId: webhook.id })).toEqual({
      __typename: 'DeleteWebhookPayload',
    });
    expect(await readWebhook(server, webhook.id)).toBeNull();
    const ofWebhook = { webhookId: webhook.id };
    const results = [
      await change(server, 'deleteWebhook', ofWebhook),
      await change(server, 'updateWebhook', { ...ofWebhook, status: 'ON' }),
      await change(server, 'testWebhook', ofWebhook),
      await change(server, 'rotateWebhookSecret', ofWebhook),
      await change(server, 'replayWebhook', { ...ofWebhook, from: { time: new Date() } }),
      await change(server, 'retryDelivery', { deliveryId: delivery?.id }),
    ];
    expect(new Set(results.map(({ __typename }) => __typename))).toEqual(new Set(['NotFoundError']));
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
  await vi.waitUntil(async () => (await prisma.webhook.count({ where: { id } })) === 0, { timeout: 10_000 });
});
