import { rmSync } from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import MailComposer from 'nodemailer/lib/mail-composer/index.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLetter } from '../src/email/letter/read-letter.ts';
import { ask } from './harness/client.ts';
import { uploadFile } from './harness/files.ts';
import {
  addEmailInbox,
  type EmailInbox,
  lettersOf,
  openMailServer,
  post,
  refusal,
  untilDealtWith,
} from './harness/mail.ts';
import { addAgent, command, ImmediateRuntime } from './harness/products.ts';
import { useServer } from './harness/server.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

const mail = await openMailServer();
const dataDir = createTemporaryFolder();
const server = useServer({
  config: { smtpUrl: mail.url, dataDir, attachmentMaxMb: 2 },
  runtimes: [new ImmediateRuntime('immediate')],
});
let inbox: EmailInbox;
beforeAll(async () => {
  inbox = await addEmailInbox(server, 'help@shop.example', {
    agentId: await addAgent(server.services, { runtime: 'immediate' }),
  });
});
afterAll(async () => {
  await mail.close();
  rmSync(dataDir, { recursive: true, force: true });
});

interface File {
  filename: string;
  bytes: number;
  url: string;
}

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function filesOf(messageId: string | null | undefined): Promise<File[]> {
  const { node } = await ask<{ node: { attachments: File[] } }>(
    server,
    `query ($id: ID!) { node(id: $id) { ... on Message { attachments { filename bytes url } } } }`,
    { id: messageId },
  );
  return node.attachments;
}

/** The letter that came in from an address, once it is dealt with. */
async function dealtWith(sender: string) {
  await untilDealtWith(server, sender);
  return (await lettersOf(server, { direction: 'IN' })).find((letter) => letter.sender === sender);
}

test('the files of a letter are those of its message, before its text or after; of those left out operators are told', async () => {
  const from = 'maria@example.com';
  const photo = randomBytes(300_000);
  const files = Array.from({ length: 10 }, (_, n) => ({ filename: `page-${n}.txt`, content: `Page ${n}\n` }));
  const raw = await new MailComposer({
    from,
    to: inbox.address,
    subject: 'Broken',
    text: 'See the pictures.',
    attachments: [
      { filename: 'photo.bin', content: photo },
      ...files,
      { filename: 'film.bin', content: randomBytes(2_100_000) },
    ],
  })
    .compile()
    .build();
  expect(await post(server, inbox, raw)).toBe(202);
  const letter = await dealtWith(from);
  expect(letter?.status).toBe('DONE');
  expect(letter?.detail).toContain('“film.bin” was left out');
  expect(letter?.detail).toContain('“page-9.txt” was left out');
  expect(letter?.conversation?.messages.nodes[0]).toMatchObject({ role: 'USER', text: 'See the pictures.' });
  const kept = await filesOf(letter?.messageId);
  expect(kept.map(({ filename }) => filename)).toEqual([
    'photo.bin',
    ...files.slice(0, 9).map((file) => file.filename),
  ]);
  const stored = await (await fetch(kept[0]?.url ?? '')).arrayBuffer();
  expect(hash(new Uint8Array(stored))).toBe(hash(photo));
  await mail.until(from, 1);
});

test('the files of a message go with its letter, the same on each try; one that is too large is named in its text', async () => {
  const [address, text] = ['paul@example.com', 'Here they are.'];
  const { result } = await ask<{ result: { conversation: { id: string } } }>(
    server,
    `mutation ($input: StartEmailConversationInput!) { result: startEmailConversation(input: $input) {
      ... on StartEmailConversationPayload { conversation { id } } } }`,
    { input: { inboxId: inbox.id, to: { address }, subject: 'Papers', text: 'Hello' } },
  );
  await mail.until(address, 1);
  const [small, large] = [Buffer.from('a\nb\r\n.\r\n'), randomBytes(1_100_000)];
  const attachments = [
    { id: await uploadFile(server, small, 'list.txt') },
    { id: await uploadFile(server, large, 'film.bin') },
    { id: await uploadFile(server, Buffer.from('more'), 'more.bin') },
  ];
  // With the others more than a letter may hold. A file that is left out is not read.
  await server.services.pool.query(`UPDATE attachment SET bytes = 18_950_000 WHERE filename = 'more.bin'`);
  const tries: string[] = [];
  mail.decide = ({ raw }) => {
    tries.push(hash(Buffer.from(raw)));
    return tries.length === 1 ? refusal(451, 'Later') : null;
  };
  const conversationId = result.conversation.id;
  await command(
    server,
    `mutation ($input: AddAgentMessageInput!) { result: addAgentMessage(input: $input) { __typename ... on UserError { detail } } }`,
    { conversationId, content: { text }, attachments },
  );
  const [, letter] = await mail.until(address, 2);
  expect(tries).toHaveLength(2);
  expect(tries[1]).toBe(tries[0]);
  const read = await readLetter(Buffer.from(letter?.raw ?? ''));
  expect(read.text).toBe(`${text}\n\n(“more.bin” is too large to be sent by email.)`);
  expect(read.attachments.map(({ filename, bytes }) => [filename, hash(bytes)])).toEqual([
    ['list.txt', hash(small)],
    ['film.bin', hash(large)],
  ]);
}, 60_000);
