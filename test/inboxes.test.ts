import { beforeAll, describe, expect, test } from 'vitest';
import { addOrganization, type Organization } from './harness/access.ts';
import { ask, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { useServer } from './harness/server.ts';

const server = useServer();
let foreign: Organization;
beforeAll(async () => {
  foreign = await addOrganization(server.services);
});

interface Outcome {
  __typename: string;
  inbox: Record<string, unknown> & { id: string };
  identitySecret?: string | null;
  deletedInboxId?: string;
  path?: string[];
  issues?: { path: string[]; code: string }[];
}

const fields = `id name channel agent { id } publicKey allowedOrigins allowsAnonymous address timeZone
  hours { day from to } attended nextAttendedAt awayMessage metadata`;

/** Runs a command on inboxes; returns its payload or its failure. */
async function command(name: string, input: Record<string, unknown>, target: Target = server): Promise<Outcome> {
  const Name = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const secret = /create|rotate/.test(name) ? 'identitySecret' : '';
  const payload = name === 'deleteInbox' ? 'deletedInboxId' : `inbox { ${fields} } ${secret}`;
  const { result } = await ask<{ result: Outcome }>(
    target,
    `mutation ($input: ${Name}Input!) {
      result: ${name}(input: $input) {
        __typename
        ... on ${Name}Payload { ${payload} }
        ... on NotFoundError { path }
        ... on InvalidInputError { issues { path code } }
      }
    }`,
    { input },
  );
  return result;
}

const create = (input: Record<string, unknown> = {}, target?: Target) =>
  command('createInbox', { name: 'Shop', channel: 'WEB_CHAT', ...input }, target);

const hours = [{ day: 'MONDAY', from: '09:00', to: '24:00' }];

describe('an inbox', () => {
  test('is created with what is said of it, and changed; a field left out stays, and null clears', async () => {
    const said = {
      allowedOrigins: ['https://shop.example/', 'http://localhost:3000/'],
      allowsAnonymous: false,
      timeZone: 'Europe/Berlin',
      hours,
      awayMessage: 'Call us.',
      metadata: { team: 'one', gone: null },
    };
    const { inbox, identitySecret } = await create(said);
    expect(inbox).toMatchObject({ name: 'Shop', channel: 'WEB_CHAT', ...said, metadata: { team: 'one' } });
    expect(inbox['publicKey']).toMatch(/^web_[\w-]{20,}$/);
    expect(identitySecret).toMatch(/^identity_[\w-]{40,}$/);
    const changed = await command('updateInbox', {
      inboxId: inbox.id,
      name: 'Store',
      allowedOrigins: null,
      allowsAnonymous: null,
      hours: null,
      awayMessage: null,
      metadata: { team: null, more: [1] },
    });
    expect(changed.inbox).toEqual({
      ...inbox,
      name: 'Store',
      allowedOrigins: [],
      allowsAnonymous: true,
      hours: null,
      awayMessage: null,
      metadata: { more: [1] },
      attended: true,
      nextAttendedAt: null,
    });
  });

  test('of another channel has no keys; an email inbox has an address of its own', async () => {
    for (const channel of ['API', 'MESSAGING', 'SMS', 'VOICE', 'OTHER']) {
      const { inbox, identitySecret } = await create({ channel });
      expect([inbox['channel'], inbox['publicKey'], identitySecret]).toEqual([channel, null, null]);
    }
    const email = await create({ channel: 'EMAIL', address: 'help@shop.example' });
    expect(email).toMatchObject({ inbox: { address: 'help@shop.example' }, identitySecret: null });
    expect(await create({ channel: 'EMAIL', address: 'Help@Shop.example' })).toMatchObject({
      issues: [{ path: ['address'], code: 'DUPLICATE' }],
    });
    const another = await create(
      { channel: 'EMAIL', address: 'help@shop.example' },
      { url: server.url, key: foreign.key },
    );
    expect(another).toHaveProperty('inbox');
    const { inbox } = await create({ channel: 'API' });
    expect(await command('rotateInboxSecret', { inboxId: inbox.id })).toMatchObject({
      issues: [{ path: ['inboxId'] }],
    });
  });

  test.each<[string, Record<string, unknown>, string[], string]>([
    ['no name', { name: '' }, ['name'], 'TOO_LONG'],
    ['a long name', { name: 'x'.repeat(201) }, ['name'], 'TOO_LONG'],
    ['an origin with a path', { allowedOrigins: ['https://a.example/shop'] }, ['allowedOrigins', '0'], 'MALFORMED'],
    ['an origin of another kind', { allowedOrigins: ['ftp://a.example'] }, ['allowedOrigins', '0'], 'MALFORMED'],
    [
      'too many origins',
      { allowedOrigins: Array.from({ length: 51 }, (_, n) => `https://a${n}.example`) },
      ['allowedOrigins'],
      'TOO_LONG',
    ],
    ['hours without a time zone', { hours }, ['timeZone'], 'REQUIRED'],
    ['an unknown time zone', { timeZone: 'Mars/Base' }, ['timeZone'], 'MALFORMED'],
    ['no time', { timeZone: 'UTC', hours: [{ ...hours[0], from: '9' }] }, ['hours', '0', 'from'], 'MALFORMED'],
    [
      'a time after midnight',
      { timeZone: 'UTC', hours: [{ ...hours[0], to: '24:01' }] },
      ['hours', '0', 'to'],
      'MALFORMED',
    ],
    [
      'an end before its start',
      { timeZone: 'UTC', hours: [{ ...hours[0], to: '08:00' }] },
      ['hours', '0', 'to'],
      'OUT_OF_RANGE',
    ],
    ['too many hours', { timeZone: 'UTC', hours: Array.from({ length: 51 }, () => hours[0]) }, ['hours'], 'TOO_LONG'],
    ['a long away message', { awayMessage: 'x'.repeat(2049) }, ['awayMessage'], 'TOO_LONG'],
    ['an address of a web chat', { address: 'a@b.example' }, ['address'], 'NOT_ALLOWED'],
    ['large metadata', { metadata: { x: 'x'.repeat(65_536) } }, ['metadata'], 'TOO_LARGE'],
    ['a NUL', { awayMessage: 'a\0b' }, ['awayMessage'], 'MALFORMED'],
  ])('is refused with %s', async (_what, input, path, code) => {
    const refused = await create(input);
    expect(refused.issues).toContainEqual({ path, code });
    expect(await command('updateInbox', { inboxId: (await create()).inbox.id, ...input })).toEqual(refused);
  });

  test('holds at most 128 KiB of metadata in all', async () => {
    const { inbox } = await create();
    const add = (key: string) => command('updateInbox', { inboxId: inbox.id, metadata: { [key]: 'x'.repeat(60_000) } });
    await add('a');
    await add('b');
    expect(await add('c')).toMatchObject({ issues: [{ path: ['metadata'], code: 'TOO_LARGE' }] });
  });

  test('of another organization is not found, nor is its agent', async () => {
    const { inbox } = await create();
    const theirs = { url: server.url, key: foreign.key };
    for (const name of ['updateInbox', 'deleteInbox', 'rotateInboxSecret']) {
      for (const inboxId of [inbox.id, 'inbox_nonsense']) {
        expect(await command(name, { inboxId }, theirs)).toMatchObject({ path: ['inboxId'] });
      }
    }
    expect(await create({ agentId: foreign.agentId })).toMatchObject({ path: ['agentId'] });
    expect(await command('updateInbox', { inboxId: inbox.id, agentId: foreign.agentId })).toMatchObject({
      path: ['agentId'],
    });
    expect(await create({ agentId: foreign.agentId }, theirs)).toMatchObject({
      inbox: { agent: { id: foreign.agentId } },
    });
  });

  test('is listed by name, filters conversations, and leaves them when it is deleted', async () => {
    const target = { url: server.url, key: (await addOrganization(server.services)).key };
    const [second, first] = [await create({ name: 'B' }, target), await create({ name: 'A' }, target)];
    const page = async (after?: string) =>
      (
        await ask<{ inboxes: { nodes: { name: string }[]; pageInfo: { endCursor: string; hasNextPage: boolean } } }>(
          target,
          'query ($after: String) { inboxes(first: 1, after: $after) { nodes { name } pageInfo { endCursor hasNextPage } } }',
          { after },
        )
      ).inboxes;
    const { nodes, pageInfo } = await page();
    expect([nodes, pageInfo.hasNextPage]).toEqual([[{ name: 'A' }], true]);
    expect((await page(pageInfo.endCursor)).nodes).toEqual([{ name: 'B' }]);
    const { conversation } = await createConversation(target, { inboxId: first.inbox.id, action: 'NONE' });
    await createConversation(target, { inboxId: second.inbox.id, action: 'NONE' });
    const list = async () =>
      ask(
        target,
        'query ($id: ID!) { conversations(filter: { inboxId: $id }) { nodes { id } } inbox(id: $id) { name } }',
        { id: first.inbox.id },
      );
    expect(await list()).toEqual({ conversations: { nodes: [{ id: conversation.id }] }, inbox: { name: 'A' } });
    expect(await command('deleteInbox', { inboxId: first.inbox.id }, target)).toMatchObject({
      deletedInboxId: first.inbox.id,
    });
    expect(await list()).toEqual({ conversations: { nodes: [] }, inbox: null });
    expect(await command('deleteInbox', { inboxId: first.inbox.id }, target)).toMatchObject({ path: ['inboxId'] });
  });
});
