import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addContact, firstOrganization, mintToken } from './harness/access.ts';
import { ask } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { attachmentFields, begin, createAttachment, png, put, sendWith, uploadFile } from './harness/files.ts';
import { useServer } from './harness/server.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

/*
 * What users of Ada and MaiAgent rely on, and what it is in Parley:
 *
 * Ada: upload a file for a conversation       createAttachment, then PUT to uploadUrl
 * Ada: a message whose content is the file    attachments of sendMessage, with an empty text
 * Ada: files of up to 10 MB                   the same, unless ATTACHMENT_MAX_MB says otherwise
 * Ada: an end user's file, a human's file     sendMessage by a client token, addAgentMessage
 * MaiAgent: attachments[{type, filename, file}]   attachments: [{ remote: { type, filename, url } }]
 * MaiAgent: type image, video, audio, sticker, other   AttachmentType, by the contents of the file
 * MaiAgent: attachments without a conversation    createConversation(message: { attachments })
 */

const dataDir = createTemporaryFolder();
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
const server = useServer({ config: { dataDir, allowPrivateAddresses: true } });

describe('Ada', () => {
  test('takes a file of 10 MB and no more', async () => {
    const { uploadUrl } = await createAttachment(server, { filename: 'log.bin', bytes: 10_000_000 });
    expect((await put(uploadUrl, Buffer.alloc(10_000_000))).status).toBe(201);
    await expect(createAttachment(server, { bytes: 10_000_001 })).rejects.toThrow('10000000');
  });

  test('has the file of an end user in a message, and that of a human in the answer', async () => {
    const contactId = await addContact(server.services, await firstOrganization(server.services));
    const key = await mintToken(server, { contactId, grants: ['UPLOAD'] });
    const person = { url: server.url, key };
    const { conversation } = await createConversation(server, { contactId, action: 'NONE' });
    const file = await uploadFile(person, png(800, 600), 'broken lamp.png');
    const input = { conversationId: conversation.id, action: 'NONE' };
    expect(await sendWith(person, [{ id: file }], input)).toMatchObject({
      __typename: 'SendMessagePayload',
      message: {
        text: '',
        attachments: [{ type: 'IMAGE', filename: 'broken lamp.png', contentType: 'image/png', width: 800 }],
      },
    });
    const form = await uploadFile(server, Buffer.from('%PDF-1.7\n'), 'form.pdf');
    const answered = await sendWith(
      server,
      [{ id: form }],
      { conversationId: conversation.id, content: { text: 'Please fill this in.' }, author: { kind: 'HUMAN_AGENT' } },
      'addAgentMessage',
    );
    expect(answered.message.attachments).toMatchObject([{ type: 'OTHER', contentType: 'application/pdf' }]);
    const seen = await ask<{ conversation: { messages: { nodes: { attachments: { url: string }[] }[] } } }>(
      person,
      `{ conversation(id: "${conversation.id}") { messages { nodes { attachments { ${attachmentFields} } } } } }`,
    );
    for (const { attachments } of seen.conversation.messages.nodes) {
      expect((await fetch(attachments[0]?.url ?? '')).status).toBe(200);
    }
  });
});

describe('MaiAgent', () => {
  const contents: Record<string, Buffer> = {
    '/image': png(3, 2),
    '/video': Buffer.from('\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom', 'latin1'),
    '/audio': Buffer.from('RIFF\x24\x00\x00\x00WAVEfmt ', 'latin1'),
    '/sticker': png(5, 5),
    '/other': Buffer.from('a,b\n1,2\n'),
  };
  const elsewhere = createServer((req, res) => void res.end(contents[req.url ?? '']));
  let base: string;
  beforeAll(async () => {
    await once(elsewhere.listen(0, '127.0.0.1'), 'listening');
    base = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  });
  afterAll(() => elsewhere.close());

  test('sends files by their type, name and address, also without a conversation', async () => {
    const types = ['IMAGE', 'VIDEO', 'AUDIO', 'STICKER', 'OTHER'];
    const attachments = types.map((type) => ({
      remote: { type, filename: `a.${type}`, url: `${base}/${type.toLowerCase()}` },
    }));
    const begun = await begin(server, attachments);
    expect(begun.message.attachments.map(({ type }) => type)).toEqual(types);
    expect(begun.message.attachments.map(({ filename }) => filename)).toEqual(types.map((type) => `a.${type}`));
    const again = await sendWith(server, attachments.slice(0, 1), {
      conversationId: begun.conversation.id,
      action: 'NONE',
    });
    expect(again.message.attachments).toMatchObject([{ type: 'IMAGE', width: 3, height: 2 }]);
  });

  test('believes the file, and not the type that is given for it', async () => {
    const begun = await begin(server, [{ remote: { type: 'IMAGE', url: `${base}/other` } }]);
    expect(begun.message.attachments).toMatchObject([{ type: 'OTHER', contentType: 'text/plain' }]);
  });
});
