import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApiKey, hashCredential } from '../src/access/api-keys.ts';
import { lockMakers } from '../src/access/makers.ts';
import type { App } from '../src/app.ts';
import { inTransaction } from '../src/db.ts';
import { decodeId } from '../src/ids.ts';
import { endWhatTheyMade } from '../src/operators/commands/end-what-they-made.ts';
import { addOperator, firstOrganization, mintOperatorToken } from './harness/access.ts';
import { ask, graphql, subscribeWs, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { Deferred } from './harness/deferred.ts';
import { startServer, useServer } from './harness/server.ts';
import { untilWaiting } from './harness/waiting.ts';
import { change, createWebhook, readWebhook } from './harness/webhooks.ts';

const server = useServer();
let other: App;
let organizationId: string;
beforeAll(async () => {
  other = await startServer(server.databaseUrl);
  organizationId = await firstOrganization(server.services);
});
afterAll(() => other.close());

/** Before the tokens of operators that the tests mint. */
const soon = new Date(Date.now() + 600_000).toISOString();

const makeKeySql = `mutation { made: createApiKey(input: { name: "Theirs", scopes: [READ, WRITE, ADMIN], expiresAt: "${soon}" }) {
  ... on CreateApiKeyPayload { secret } } }`;

/** Another key of all scopes, made with the target's credential. */
async function makeKey(target: Target): Promise<Target> {
  const { made } = await ask<{ made: { secret: string } }>(target, makeKeySql);
  return { url: target.url, key: made.secret };
}

async function codeFor(target: Target): Promise<unknown> {
  const { errors } = await graphql(target, '{ viewer { kind } }');
  return errors?.[0]?.extensions?.code ?? 'ok';
}

const refused = 'UNAUTHENTICATED';
const input = { url: 'https://example.com/hook' };
const adopt = (target: Target, webhookId: string) =>
  change(target, 'updateWebhook', { webhookId, status: 'ON', adopt: true });

const ends = {
  'is suspended': (id: string) =>
    ask(server, `mutation { suspendOperator(input: { operatorId: "${id}" }) { __typename } }`),
  'is no longer an admin': (id: string) =>
    ask(server, `mutation { updateOperator(input: { operatorId: "${id}", role: AGENT }) { __typename } }`),
};

describe.each(Object.entries(ends))('when an admin %s', (_how, end) => {
  test('the keys made with their credentials fall, through however many hands, on every server and for good', async () => {
    const admin = await addOperator(server, { role: 'ADMIN' });
    const colleague = await addOperator(server, { role: 'ADMIN' });
    const issued = { url: server.url, key: await mintOperatorToken(admin.target, colleague.id) };
    const own = await makeKey(admin.target);
    const fallen = [own, await makeKey(own), await makeKey(await makeKey(own)), await makeKey(issued)];
    const kept = [await makeKey(colleague.target), await makeKey(server)];
    const there = fallen.map(({ key }) => ({ url: other.url, key }));
    expect(new Set(await Promise.all([...fallen, ...there, ...kept].map(codeFor)))).toEqual(new Set(['ok']));
    await end(admin.id);
    await sleep(1000);
    expect(new Set(await Promise.all([...fallen, ...there].map(codeFor)))).toEqual(new Set([refused]));
    expect(await Promise.all(kept.map(codeFor))).toEqual(['ok', 'ok']);
    await ask(server, `mutation { reinstateOperator(input: { operatorId: "${admin.id}" }) { __typename } }`);
    await ask(server, `mutation { updateOperator(input: { operatorId: "${admin.id}", role: ADMIN }) { __typename } }`);
    await sleep(1000);
    expect(await codeFor(own)).toBe(refused);
  });

  test('the sockets opened with such a key close within a second', async () => {
    const admin = await addOperator(server, { role: 'ADMIN' });
    const { key } = await makeKey(await makeKey(admin.target));
    const { conversation } = await createConversation(server, { action: 'NONE' });
    const closings = [server.url, other.url].map((url) =>
      subscribeWs(
        { url, key },
        `subscription { conversationEvents(conversationId: "${conversation.id}") { __typename } }`,
      )
        .next()
        .then(
          () => null,
          (error: unknown) => Object(error) as { code?: number },
        ),
    );
    await end(admin.id);
    for (const closed of closings) expect(await Promise.race([closed, sleep(2000)])).toMatchObject({ code: 4401 });
  });

  test('the webhooks made with their credentials are off at once, until another admin adopts them', async () => {
    const admin = await addOperator(server, { role: 'ADMIN' });
    const colleague = await addOperator(server, { role: 'ADMIN' });
    const makers = [admin.target, await makeKey(admin.target), colleague.target, server];
    const made = await Promise.all(makers.map((target) => createWebhook(target, input)));
    const [own = '', ofKey = '', kept = '', taken = ''] = made.map(({ webhook }) => webhook.id);
    await adopt(admin.target, taken);
    await end(admin.id);
    for (const id of [own, ofKey, taken]) {
      expect(await readWebhook(server, id)).toMatchObject({
        status: 'OFF',
        disabledReason: 'The operator behind it was suspended or is no longer an admin. Another admin may adopt it.',
      });
      const switchedOn = await change(server, 'updateWebhook', { webhookId: id, status: 'ON' });
      expect(switchedOn.__typename).toBe('InvalidInputError');
      expect((await adopt(colleague.target, id)).__typename).toBe('UpdateWebhookPayload');
    }
    expect((await readWebhook(server, kept)).status).toBe('ON');
    // It is the colleague's now.
    await end(admin.id);
    expect((await readWebhook(server, own)).status).toBe('ON');
    for (const id of [own, ofKey, taken, kept]) await change(server, 'deleteWebhook', { webhookId: id });
  });
});

describe('an end that is under way', () => {
  /** Ends an operator in a transaction that stays open until it is told to commit. */
  async function beginToEnd(operatorId: string): Promise<() => Promise<void>> {
    const [begun, told] = [new Deferred<undefined>(), new Deferred<undefined>()];
    const ended = inTransaction(server.services.pool, async (db) => {
      await db.query(
        'UPDATE operator SET suspended_at = now(), token_generation = token_generation + 1 WHERE id = $1',
        [operatorId],
      );
      await endWhatTheyMade(db, { organizationId, operatorId });
      begun.resolve(undefined);
      await told.promise;
    });
    await begun.promise;
    return () => {
      told.resolve(undefined);
      return ended;
    };
  }

  test('lets no key and no webhook be made that would outlive it', async () => {
    const admin = await addOperator(server, { role: 'ADMIN' });
    const key = await makeKey(admin.target);
    const { id: webhookId } = (await createWebhook(server, input)).webhook;
    const commit = await beginToEnd(decodeId('Operator', admin.id) ?? '');
    const makeHook = `mutation { createWebhook(input: { url: "${input.url}" }) { __typename } }`;
    const takeHook = `mutation { updateWebhook(input: { webhookId: "${webhookId}", adopt: true }) { __typename } }`;
    const attempts = [admin.target, key].flatMap((target) =>
      [makeKeySql, makeHook, takeHook].map((mutation) => graphql(target, mutation)),
    );
    await untilWaiting(server.services.pool, attempts.length);
    await commit();
    const codes = (await Promise.all(attempts)).map(({ errors }) => errors?.[0]?.extensions?.code);
    expect(codes).toEqual(attempts.map(() => refused));
    expect(await readWebhook(server, webhookId)).toMatchObject({ status: 'ON' });
    await change(server, 'deleteWebhook', { webhookId });
  });

  test('lets nobody switch a webhook on whose maker it ends', async () => {
    const admin = await addOperator(server, { role: 'ADMIN' });
    const { id: webhookId } = (await createWebhook(admin.target, input)).webhook;
    const commit = await beginToEnd(decodeId('Operator', admin.id) ?? '');
    const switching = change(server, 'updateWebhook', { webhookId, status: 'ON' });
    await untilWaiting(server.services.pool, 1);
    await commit();
    expect((await switching).__typename).toBe('InvalidInputError');
    expect((await readWebhook(server, webhookId)).status).toBe('OFF');
    await change(server, 'deleteWebhook', { webhookId });
  });

  test('waits for a key that is being made, and revokes it', async () => {
    const admin = await addOperator(server, { role: 'ADMIN' });
    const operatorId = decodeId('Operator', admin.id) ?? '';
    const { pool, newId } = server.services;
    const ending = await inTransaction(pool, async (db) => {
      const endsWith = [{ operatorId, operatorGeneration: 0 }];
      const madeBy = await lockMakers(db, { organizationId, keyId: null, endsWith });
      await createApiKey(db, newId, { organizationId, name: 'Late', madeBy }, 'the-secret-of-a-late-key');
      const ended = ends['is suspended'](admin.id);
      await untilWaiting(pool, 1);
      return { ended };
    });
    await ending.ended;
    const { rows } = await pool.query('SELECT revoked_at AS "revokedAt" FROM api_key WHERE secret_hash = $1', [
      hashCredential('the-secret-of-a-late-key'),
    ]);
    expect(rows).toEqual([{ revokedAt: expect.any(Date) }]);
  });

  test('leaves nothing behind, however it meets what is made', async () => {
    const admins = await Promise.all(Array.from({ length: 8 }, () => addOperator(server, { role: 'ADMIN' })));
    await Promise.all(
      admins.map(async ({ id, target }) => {
        const key = await makeKey(target);
        await Promise.all([
          ...[target, key, key].map((maker) => graphql(maker, makeKeySql)),
          ends['is suspended'](id),
          ...[target, key].map((maker) => graphql(maker, makeKeySql)),
        ]);
      }),
    );
    const { rows } = await server.services.pool.query<{ left: number }>(
      `SELECT count(*)::int AS left FROM api_key k JOIN operator o ON o.id = ANY(k.made_by)
        WHERE k.revoked_at IS NULL AND o.suspended_at IS NOT NULL`,
    );
    expect(rows).toEqual([{ left: 0 }]);
  });
});
