import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Pool } from '../src/db.ts';
import { replyAddress, signingSecret } from '../src/email/reply-address.ts';
import { decodeAnyId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { erasePerson } from '../src/erasure/erase-person.ts';
import {
  addContact,
  addKey,
  addOrganization,
  firstOrganization,
  mintToken,
  type Organization,
} from './harness/access.ts';
import { ask, graphql, openSocket, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, readMessage, send, trySend } from './harness/commands.ts';
import { addEmailInbox, lettersOf, post, written } from './harness/mail.ts';
import { openReceiver } from './harness/receiver.ts';
import { record } from './harness/recording.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer, useServer } from './harness/server.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';
import { untilWaiting } from './harness/waiting.ts';
import { createWebhook } from './harness/webhooks.ts';

const dataDir = createTemporaryFolder();
const logged: string[] = [];
const runtime = new ScriptedRuntime();
const server = useServer({
  config: { dataDir, allowPrivateAddresses: true },
  runtimes: [runtime],
  logger: createLogger({ level: 'debug', plain: false, destination: { write: (line) => void logged.push(line) } }),
});
let organizationId: string;
let agentId: string;
let foreign: Organization;
const closing: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
  rmSync(dataDir, { recursive: true, force: true });
});
beforeAll(async () => {
  organizationId = await firstOrganization(server.services);
  agentId = await createAgent(server.services, 'scripted');
  foreign = await addOrganization(server.services);
});

/** Until something holds; long enough for a busy machine. */
const within = <T>(look: () => T | Promise<T>) => expect.poll(look, { timeout: 20_000 });

const uuidOf = (id: string) => decodeAnyId(id)?.uuid ?? '';

interface Outcome {
  index: number;
  reference: string | null;
  status: string;
  conversations: number;
  messages: number;
}
interface Erasure {
  id: string;
  status: string;
  reason: string | null;
  outcomes: Outcome[];
}
interface Asked {
  __typename: string;
  erasure: Erasure;
  issues: { path: string[]; code: string }[];
}
const shown = 'id status reason outcomes { index reference status conversations messages }';

/** Asks for an erasure. */
async function erase(contacts: Record<string, string>[], target: Target = server, reason?: string): Promise<Asked> {
  const { result } = await ask<{ result: Asked }>(
    target,
    `mutation ($input: EraseContactsInput!) { result: eraseContacts(input: $input) { __typename
      ... on EraseContactsPayload { erasure { ${shown} } } ... on InvalidInputError { issues { path code } } } }`,
    { input: { contacts, reason } },
  );
  return result;
}

/** An erasure when it has ended. */
async function ended({ erasure }: Asked, target: Target = server): Promise<Erasure> {
  const document = `subscription { job: jobProgress(id: "${erasure.id}") { ... on Erasure { ${shown} } } }`;
  let last: Erasure | undefined;
  for await (const { job } of subscribeWs<{ job: Erasure }>(target, document)) last = job;
  if (last?.status !== 'DONE') throw new Error(`The erasure did not end well: ${JSON.stringify(last)}`);
  return last;
}

async function eraseWhole(...contacts: Record<string, string>[]): Promise<Outcome[]> {
  return (await ended(await erase(contacts))).outcomes;
}

/** Every row of every table, as text. */
async function dump(pool: Pool): Promise<string[]> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
  );
  const all: string[] = [];
  for (const { name } of tables) {
    const { rows } = await pool.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
    all.push(...rows.map(({ row }) => `${name} ${row}`));
  }
  return all;
}

/** The contents of all files below a folder that are not the database's own. */
function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(
      (entry) => `${join(entry.parentPath, entry.name)} ${readFileSync(join(entry.parentPath, entry.name), 'utf8')}`,
    );
}

/** Where one of the words still is, in any case, forwards or backwards, or among bytes. */
function tracesOf(words: readonly string[], texts: readonly string[]): string[] {
  const known = words.flatMap((word) => [word, Array.from(word).reverse().join(''), Buffer.from(word).toString('hex')]);
  return texts.filter((text) => known.some((word) => text.toLowerCase().includes(word)));
}

/** Somebody who has a name, and a conversation in which each kind of thing of theirs is. */
async function somebody(word: (what: string) => string) {
  const { contact } = await upsert({
    externalId: word('external'),
    displayName: word('name'),
    email: `${word('email')}@example.org`,
    avatarUrl: `https://example.org/${word('avatar')}`,
    metadata: { note: word('about') },
  });
  const created = await createConversation(server, {
    agentId,
    contactId: contact.id,
    title: word('title'),
    action: 'NONE',
    metadata: { own: word('conversationmetadata') },
    searchMetadata: { own: word('searchmetadata') },
    systemPrompt: word('prompt'),
    state: { systemMessage: word('systemmessage'), context: { own: word('context') } },
    idempotencyKey: word('key'),
  });
  const conversationId = created.conversation.id;
  const sent = await send(server, {
    conversationId,
    content: { text: word('question') },
    metadata: { own: word('messagemetadata') },
    contentPayload: { own: word('payload') },
    queryMetadata: { own: word('query') },
    canvas: { name: 'c', type: 't', title: 't', content: word('canvas') },
    clientId: word('client'),
    stateAfter: { phase: null, context: { own: word('later') } },
  });
  const script = await runtime.replyTo(word('question'));
  await script.say(
    { type: 'tool-call', callId: 'a', name: 'look', args: { own: word('arguments') } },
    { type: 'tool-result', callId: 'a', response: { own: word('answer') }, failed: false },
  );
  await script.begin(word('reply'));
  await script.say({ type: 'text-end', metadata: { own: word('fragmentmetadata') } });
  await script.say({ type: 'handoff-request', reason: word('reason') }, { type: 'finish' });
  const replyId = sent.reply?.id ?? '';
  await within(async () => (await readMessage(server, replyId)).status).toBe('DONE');
  await ask(
    server,
    `mutation { rateReply(input: { replyId: "${replyId}", rating: UP, comment: "${word('comment')}" }) { __typename }
      addNote(input: { conversationId: "${conversationId}", content: { text: "${word('note')}" } }) { __typename }
      updateConversation(input: { conversationId: "${conversationId}", labels: { add: ["${word('label')}"] } }) { __typename } }`,
  );
  const token = await mintToken(server, { contactId: contact.id });
  await ask(
    { url: server.url, key: token },
    `mutation { markRead(input: { conversationId: "${conversationId}", position: 0 }) { __typename } }`,
  );
  return { contactId: contact.id, conversationId, token, replyId };
}

async function upsert(input: Record<string, unknown>): Promise<{ __typename: string; contact: { id: string } }> {
  const { result } = await ask<{ result: { __typename: string; contact: { id: string } } }>(
    server,
    `mutation ($input: ContactIdentity!) { result: upsertContact(input: $input) { __typename
      ... on UpsertContactPayload { contact { id } } } }`,
    { input },
  );
  return result;
}

const exportAll = async () => {
  const { result } = await ask<{ result: { export: { id: string } } }>(
    server,
    `mutation { result: startExport(input: { kind: MESSAGES, format: JSONL,
      filter: { startDate: "${day(-2)}", endDate: "${day(2)}" } }) { ... on StartExportPayload { export { id } } } }`,
  );
  const { id } = result.export;
  for await (const { job } of subscribeWs<{ job: { status: string; url: string | null } }>(
    server,
    `subscription { job: jobProgress(id: "${id}") { status ... on Export { url } } }`,
  )) {
    if (job.status === 'DONE') return job.url ?? '';
  }
  throw new Error('The export has not ended well.');
};
const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

test('of a person who is erased nothing is left anywhere, and of others all', { timeout: 90_000 }, async () => {
  const { pool } = server.services;
  const words: string[] = [];
  const canary = (what: string) => {
    const word = `zq${what}canary`;
    if (!words.includes(word)) words.push(word);
    return word;
  };
  const receiver = await openReceiver();
  closing.push(() => receiver.close());
  await createWebhook(server, { url: receiver.url });
  const leaver = await somebody(canary);
  await writeLetters(canary);
  const other = await somebody((what) => `${what}ofanother`);
  // The person writes in a conversation of somebody else, and begins one that is nobody's.
  const guest = { contactId: leaver.contactId, clientId: canary('guestclient'), idempotencyKey: canary('guestkey') };
  const room = await createConversation(server, { agentId, contactId: other.contactId, action: 'NONE' });
  const roomId = room.conversation.id;
  await send(server, { conversationId: roomId, content: { text: 'Hello' }, action: 'NONE' });
  const said = await send(server, {
    conversationId: roomId,
    content: { text: canary('guest') },
    metadata: { own: canary('guestmetadata') },
    canvas: { name: 'c', type: 't', title: 't', content: canary('guestcanvas') },
    ...guest,
  });
  const script = await runtime.replyTo(canary('guest'));
  await script.say({ type: 'tool-call', callId: 'a', name: 'look', args: { own: canary('guestarguments') } });
  await script.begin(canary('guestreply'));
  await script.say(
    { type: 'text-end' },
    { type: 'handoff-request', reason: canary('guestreason') },
    { type: 'finish' },
  );
  await within(async () => (await readMessage(server, said.reply?.id ?? '')).status).toBe('DONE');
  const titled = await createConversation(server, {
    agentId,
    action: 'NONE',
    message: {
      content: { text: canary('first') },
      author: { externalId: canary('external'), displayName: canary('alias') },
    },
  });
  await within(() => receiver.received.filter(({ body }) => body.includes(canary('guestreply'))).length).toBe(1);
  const url = await exportAll();
  expect(await (await fetch(url)).text()).toContain(canary('question'));
  const before = await dump(pool);
  expect(words.filter((word) => tracesOf([word], before).length === 0)).toEqual([]);
  const untouched = before.filter((row) => row.includes(uuidOf(other.conversationId)));

  const room$ = record(
    subscribeWs<{ event: { __typename: string; message?: { id: string; text: string; erasedAt: string | null } } }>(
      { url: server.url, key: other.token },
      `subscription { event: conversationEvents(conversationId: "${roomId}", after: "${room.cursor}") { __typename
        ... on MessageErased { message { id text erasedAt } } } }`,
    ),
  );
  const own$ = record(
    subscribeWs<{ event: { __typename: string } }>(
      server,
      `subscription { event: conversationEvents(conversationId: "${leaver.conversationId}") { __typename } }`,
    ),
  );
  await own$.until((events) => events.length >= 0);
  const outcomes = await eraseWhole({ email: `${canary('email').toUpperCase()}@example.org` });
  // Themself, and the one of whom only letters tell.
  expect(outcomes.map(({ index, status }) => [index, status])).toEqual([
    [0, 'ERASED'],
    [0, 'ERASED'],
  ]);
  expect(outcomes.map(({ reference }) => reference)).toContain(leaver.contactId);
  const sum = (field: 'conversations' | 'messages') => outcomes.reduce((all, each) => all + each[field], 0);
  expect([sum('conversations'), sum('messages')]).toEqual([2, 7]);

  await within(async () => tracesOf(words, await dump(pool))).toEqual([]);
  expect(tracesOf(words, files(dataDir))).toEqual([]);
  expect(tracesOf(words, logged)).toEqual([]);
  expect((await fetch(url)).status).toBe(404);
  const after = new Set(await dump(pool));
  expect(untouched.filter((row) => !after.has(row))).toEqual([]);
  expect(untouched.length).toBeGreaterThan(10);

  const erased = (await room$.until((events) => events.filter(isErased).length === 2)).filter(isErased);
  expect(erased.map(({ event }) => event.message)).toEqual(
    [said.message.id, said.reply?.id].map((id) => ({ id, text: '', erasedAt: expect.any(String) })),
  );
  await room$.leave();
  expect((await own$.ended()).at(-1)?.event.__typename).toBe('ConversationDeleted');
  const { conversation } = await ask<{ conversation: { title: string | null } }>(
    server,
    `{ conversation(id: "${titled.conversation.id}") { title } }`,
  );
  expect(conversation.title).toBeNull();
  // What has been sent cannot be called back; what is sent again has nothing of it.
  const told = await receiver.until((all) => all.some(({ payload }) => payload.type === 'message.erased'));
  expect(
    tracesOf(
      words,
      told.filter(({ payload }) => payload.type === 'message.erased').map(({ body }) => body),
    ),
  ).toEqual([]);
});

/** The person writes a letter with a file, one into a conversation of somebody else, and one that becomes no message. */
async function writeLetters(word: (what: string) => string): Promise<void> {
  const inbox = await addEmailInbox(server, 'help@shop.example', { agentId });
  const from = `${word('lettername')} <${word('email')}@example.org>`;
  const letter = (headers: Record<string, string>, what: string) =>
    written({
      From: from,
      Subject: word(`${what}subject`),
      'Auto-Submitted': 'auto-replied',
      'Content-Type': 'multipart/mixed; boundary=part',
      text: [
        ...['--part', '', word(`${what}body`), '', 'On Monday, Robin wrote:', `> ${word(`${what}quote`)}`],
        ...[
          '--part',
          `Content-Type: text/plain; name=${word(`${what}file`)}.txt`,
          'Content-Disposition: attachment',
          '',
        ],
        ...[word(`${what}content`), '--part--'],
      ].join('\r\n'),
      ...headers,
    });
  const dealtWith = (count: number) =>
    within(async () => {
      const letters = await lettersOf(server, { inboxId: inbox.id });
      return letters.filter(({ status }) => status !== 'WAITING').length;
    }).toBe(count);
  await post(server, inbox, letter({}, 'letter'));
  await post(
    server,
    inbox,
    letter(
      {
        From: `Somebody <${word('email')}@example.org>`,
        To: inbox.address,
        'Auto-Submitted': 'no',
        'Return-Path': '<>',
        'Content-Type': 'multipart/report; report-type=delivery-status; boundary=part',
      },
      'bounced',
    ),
  );
  await post(server, inbox, written({ From: 'host@example.org', 'Auto-Submitted': 'auto-replied' }));
  await dealtWith(3);
  const { pool } = server.services;
  const { rows } = await pool.query<{ id: string; secret: string }>(
    `SELECT c.id, i.secret FROM conversation c JOIN inbox i ON i.id = c.inbox_id JOIN contact k ON k.id = c.contact_id
      WHERE k.email = 'host@example.org'`,
  );
  const secret = await signingSecret(pool, uuidOf(inbox.id));
  const To = replyAddress({ address: inbox.address, secret }, rows[0]?.id ?? '');
  await post(server, inbox, letter({ To }, 'guestletter'));
  await dealtWith(4);
  await pool.query('INSERT INTO letter_allowance (organization_id, address, times) VALUES ($1, $2, ARRAY[now()])', [
    organizationId,
    `${word('email')}@example.org`,
  ]);
}

const isErased = ({ event }: { event: { __typename: string } }) => event.__typename === 'MessageErased';

describe('who is erased', () => {
  test('is named by an email address that several have, by an ID, or is not found', async () => {
    const email = 'two@example.org';
    const both = [
      (await upsert({ externalId: 'two-a', email })).contact.id,
      (await upsert({ externalId: 'two-b', email: 'Two@example.org' })).contact.id,
    ];
    const single = await addContact(server.services, organizationId);
    const outcomes = await eraseWhole(
      { id: single },
      { email },
      { externalId: 'nobody' },
      { id: foreign.contactId },
      { id: 'contact_0' },
      { externalId: 'half of a pair: \ud800' },
    );
    expect(outcomes.map(({ index, status }) => [index, status])).toEqual([
      [0, 'ERASED'],
      [1, 'ERASED'],
      [1, 'ERASED'],
      [2, 'NOT_FOUND'],
      [3, 'NOT_FOUND'],
      [4, 'NOT_FOUND'],
      [5, 'NOT_FOUND'],
    ]);
    expect(outcomes.flatMap(({ reference }) => reference ?? []).toSorted()).toEqual([...both, single].toSorted());
    const { contact } = await ask<{ contact: unknown }>(
      { url: server.url, key: foreign.key },
      `{ contact(ref: { id: "${foreign.contactId}" }) { id } }`,
    );
    expect(contact).not.toBeNull();
  });

  test.each([
    ['nobody', [], undefined, 'contacts', 'REQUIRED'],
    [
      'more than 1,000',
      Array.from({ length: 1001 }, (_, n) => ({ externalId: String(n) })),
      undefined,
      'contacts',
      'TOO_LONG',
    ],
    ['somebody for a reason that is too long', [{ externalId: 'a' }], 'x'.repeat(1001), 'reason', 'TOO_LONG'],
  ])('cannot be %s', async (_who, contacts, reason, path, code) => {
    expect(await erase(contacts, server, reason)).toMatchObject({
      __typename: 'InvalidInputError',
      issues: [{ path: [path], code }],
    });
  });

  test('is not too many of one email address', async () => {
    const { pool, newId } = server.services;
    const ids = Array.from({ length: 2001 }, () => newId());
    onTestFinished(async () => {
      await pool.query(`DELETE FROM contact WHERE id = ANY($1::uuid[])`, [ids]);
    });
    await pool.query(
      `INSERT INTO contact (id, organization_id, email) SELECT unnest($2::uuid[]), $1, 'crowd@example.org'`,
      [organizationId, ids],
    );
    expect(await erase([{ email: 'crowd@example.org' }])).toMatchObject({ issues: [{ code: 'TOO_LARGE' }] });
    expect((await pool.query('SELECT FROM contact WHERE erasing_since IS NOT NULL')).rowCount).toBe(0);
  });

  test('is erased once when two ask at once', async () => {
    const contactId = await addContact(server.services, organizationId);
    await createConversation(server, { agentId, contactId, action: 'NONE' });
    const other = await startServer(server.databaseUrl, { config: { dataDir } });
    onTestFinished(() => other.close());
    const release = await holdJobs();
    const both = await Promise.all([erase([{ id: contactId }]), erase([{ id: contactId }], other)]);
    await release();
    const outcomes = (await Promise.all(both.map((each) => ended(each)))).flatMap((each) => each.outcomes);
    expect(outcomes.map(({ status }) => status)).toEqual(['ERASED', 'ERASED']);
    expect(await eraseWhole({ id: contactId })).toMatchObject([{ status: 'NOT_FOUND' }]);
  });

  test('is erased even if that is cancelled', async () => {
    const contactId = await addContact(server.services, organizationId);
    const asked = await erase([{ id: contactId }], server, 'They wish it.');
    const cancel = `mutation { result: cancelJob(input: { jobId: "${asked.erasure.id}" }) { __typename } }`;
    expect(await ask(server, cancel)).toEqual({ result: { __typename: 'InvalidInputError' } });
    expect(await ended(asked)).toMatchObject({ reason: 'They wish it.', outcomes: [{ status: 'ERASED' }] });
    const { node } = await ask<{ node: unknown }>(
      server,
      `{ node(id: "${asked.erasure.id}") { ... on Erasure { actor { ... on ApiKeyActor { apiKeyId } } } } }`,
    );
    expect(node).toEqual({ actor: { apiKeyId: expect.stringMatching(/^key_/) } });
    const foreigner = { url: server.url, key: foreign.key };
    expect(await ask(foreigner, `{ node(id: "${asked.erasure.id}") { id } }`)).toEqual({ node: null });
  });
});

/** Has the jobs of the organization wait, as while another of its jobs runs. Returns what lets them run. */
async function holdJobs(): Promise<() => Promise<unknown>> {
  const { pool } = server.services;
  const values = [`jobs of ${organizationId}`];
  const text = `INSERT INTO graphile_worker._private_job_queues (queue_name, locked_at, locked_by) VALUES ($1, now(), 'test')
    ON CONFLICT (queue_name) DO UPDATE SET locked_at = now(), locked_by = 'test' WHERE _private_job_queues.locked_at IS NULL`;
  // The job before may still hold it for a moment after it is done.
  await within(async () => (await pool.query(text, values)).rowCount).toBe(1);
  return () =>
    pool.query(
      `UPDATE graphile_worker._private_job_queues SET locked_at = NULL, locked_by = NULL WHERE locked_by = 'test'`,
    );
}

test('from the moment of the mark, nothing is written by or for the person', async () => {
  const { contact } = await upsert({ externalId: 'leaving', displayName: 'Kim' });
  const contactId = contact.id;
  const { conversation } = await createConversation(server, { agentId, contactId, action: 'NONE' });
  const room = await createConversation(server, { agentId, action: 'NONE' });
  const token = await mintToken(server, { contactId });
  const socket = openSocket(server, { key: token });
  const closed = new Promise<unknown>((resolve) => socket.on('closed', resolve));
  const client = record(
    subscribeWs<{ event: unknown }>(
      server,
      `subscription { event: conversationEvents(conversationId: "${conversation.id}") { __typename } }`,
      {},
      { socket },
    ),
  );
  await client.until(() => true);
  const release = await holdJobs();
  const asked = await erase([{ id: contactId }]);
  const content = { text: 'Late' };
  const refused = { __typename: 'NotFoundError' };
  expect(await trySend(server, { conversationId: conversation.id, content, action: 'NONE' })).toMatchObject(refused);
  const asGuest = { conversationId: room.conversation.id, contactId, content, action: 'NONE' };
  expect(await trySend(server, asGuest)).toMatchObject(refused);
  await expect(createConversation(server, { agentId, contactId, action: 'NONE' })).rejects.toThrow('NotFoundError');
  expect(await upsert({ externalId: 'leaving', displayName: 'Kim' })).toMatchObject({
    __typename: 'InvalidInputError',
  });
  await expect(mintToken(server, { contactId })).rejects.toThrow();
  expect(await ask(server, `{ contact(ref: { externalId: "leaving" }) { id } }`)).toEqual({ contact: null });
  await closed;
  await within(
    async () => (await graphql({ url: server.url, key: token }, '{ viewer { kind } }')).errors?.[0]?.extensions?.code,
  ).toBe('UNAUTHENTICATED');
  await release();
  expect((await ended(asked)).outcomes).toMatchObject([{ status: 'ERASED' }]);
  // Whoever comes later is somebody new.
  const again = await upsert({ externalId: 'leaving' });
  expect(again.contact.id).not.toBe(contactId);
});

test('what a person writes while they are erased is refused or erased', async () => {
  const { pool } = server.services;
  const { contact } = await upsert({ externalId: 'busy', displayName: 'zqbusyname' });
  const contactId = contact.id;
  const { conversation } = await createConversation(server, { agentId, contactId, action: 'NONE' });
  const room = await createConversation(server, { agentId, action: 'NONE' });
  const token = { url: server.url, key: await mintToken(server, { contactId }) };
  let isOver = false;
  onTestFinished(() => void (isOver = true));
  const write = async (target: Target, input: Record<string, unknown>) => {
    for (let n = 0; !isOver; n += 1) {
      await trySend(target, { content: { text: `zqbusytext ${n}` }, action: 'NONE', ...input }).catch(() => null);
    }
  };
  const begin = async () => {
    while (!isOver) {
      await createConversation(server, { agentId, contactId, title: 'zqbusytitle', action: 'NONE' }).catch(() => null);
    }
  };
  const writing = [
    write(token, { conversationId: conversation.id }),
    write(server, { conversationId: conversation.id }),
    write(server, { conversationId: room.conversation.id, contactId }),
    begin(),
  ];
  await within(
    async () => (await pool.query(`SELECT FROM message WHERE author->>'contactId' = $1`, [uuidOf(contactId)])).rowCount,
  ).toBeGreaterThan(10);
  const erased = await ended(await erase([{ id: contactId }]));
  isOver = true;
  await Promise.all(writing);
  expect(erased.outcomes).toMatchObject([{ status: 'ERASED' }]);
  expect(tracesOf(['zqbusy'], await dump(pool))).toEqual([]);
});

test('a reply that runs is stopped, and what it says after that is not kept', async () => {
  const { pool } = server.services;
  const contactId = await addContact(server.services, organizationId);
  const { conversation } = await createConversation(server, { agentId, contactId, action: 'NONE' });
  const room = await createConversation(server, { agentId, action: 'NONE' });
  const scripts = [];
  for (const [conversationId, text] of [
    [conversation.id, 'zqrunning own'],
    [room.conversation.id, 'zqrunning guest'],
  ] as const) {
    await send(server, { conversationId, content: { text }, contactId });
    scripts.push(await runtime.replyTo(text));
  }
  for (const script of scripts) await script.begin('zqrunning begins');
  expect((await eraseWhole({ id: contactId })).at(0)).toMatchObject({ status: 'ERASED', conversations: 1 });
  for (const script of scripts) {
    await script.aborted;
    await script.write('zqrunning late');
    await script.end();
  }
  expect(tracesOf(['zqrunning'], await dump(pool))).toEqual([]);
  const { conversation: left } = await ask<{ conversation: { runningReply: unknown } }>(
    server,
    `{ conversation(id: "${room.conversation.id}") { runningReply { id } } }`,
  );
  expect(left.runningReply).toBeNull();
});

test('a reply that ends with a handoff after the mark ends without it', async () => {
  const { pool } = server.services;
  const contactId = await addContact(server.services, organizationId);
  const { conversation } = await createConversation(server, { agentId, contactId, action: 'NONE' });
  const sent = await send(server, { conversationId: conversation.id, content: { text: 'a human, please' } });
  const script = await runtime.replyTo('a human, please');
  await pool.query('UPDATE contact SET erasing_since = now() WHERE id = $1', [uuidOf(contactId)]);
  await script.say({ type: 'handoff-request', reason: 'asked' }, { type: 'finish' });
  const statusOf = async (id: string) =>
    (await pool.query<{ status: string }>('SELECT status FROM message WHERE id = $1', [uuidOf(id)])).rows[0]?.status;
  await within(() => statusOf(sent.reply?.id ?? '')).toBe('DONE');
  const { rows } = await pool.query('SELECT FROM handoff WHERE conversation_id = $1', [uuidOf(conversation.id)]);
  expect(rows).toEqual([]);
  await eraseWhole({ id: contactId });
});

test('what names a person by their external ID at the last moment is erased too', async () => {
  const { services } = server;
  const { contact } = await upsert({ externalId: 'zqlast' });
  const contactId = uuidOf(contact.id);
  const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
  await services.pool.query(
    `INSERT INTO attachment (id, organization_id, uploader, contact_id, type, filename, bytes, secret)
      VALUES (gen_random_uuid(), $1, $2, $3, 'OTHER', 'a', 1, '')`,
    [organizationId, `contact:${contactId}`, contactId],
  );
  await services.pool.query('UPDATE contact SET erasing_since = now() WHERE id = $1', [contactId]);
  // It has looked for messages when it comes to the attachments.
  const holder = await services.pool.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT FROM attachment WHERE contact_id = $1 FOR UPDATE', [contactId]);
  const leaver = { contactId, organizationId, actor: { kind: 'SYSTEM' } as const };
  const erasing = erasePerson(services, leaver, new AbortController().signal);
  await untilWaiting(services.pool, 1);
  await send(server, {
    conversationId: conversation.id,
    author: { externalId: 'zqlast', displayName: 'zqlast' },
    content: { text: 'zqlast' },
    action: 'NONE',
  });
  await holder.query('COMMIT');
  holder.release();
  await erasing;
  expect(tracesOf(['zqlast'], await dump(services.pool))).toEqual([]);
});

test('a long conversation is erased bit by bit, and each message counted once', async () => {
  const { pool } = server.services;
  const contactId = await addContact(server.services, organizationId);
  const { conversation } = await createConversation(server, { agentId, contactId, action: 'NONE' });
  await pool.query(
    `INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version)
      SELECT gen_random_uuid(), $1, $2, n, 'USER', '{"kind": "END_USER"}', 'DONE', 1 FROM generate_series(1, 1200) n`,
    [uuidOf(conversation.id), organizationId],
  );
  const release = await holdJobs();
  const asked = await erase([{ id: contactId }]);
  await release();
  expect((await ended(asked)).outcomes).toMatchObject([{ status: 'ERASED', conversations: 1, messages: 1200 }]);
});

test('a key without the scope ADMIN erases nobody', async () => {
  const { secret } = await addKey(server.services, { organizationId, scopes: ['read', 'write'] });
  const contactId = await addContact(server.services, organizationId);
  await expect(erase([{ id: contactId }], { url: server.url, key: secret })).rejects.toThrow('FORBIDDEN');
});
