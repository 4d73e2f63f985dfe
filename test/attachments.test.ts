import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { fileName, shardFolder, shardOf } from '../src/attachments/model.ts';
import { removeAttachments, removeFiles, removeTask } from '../src/attachments/remove.ts';
import { OWNER, ownsFiles } from '../src/attachments/owner.ts';
import { compareShard, removeLeftOver, sweepHandler } from '../src/attachments/sweep.ts';
import { removeConversation } from '../src/conversations/log/remove.ts';
import { decodeId, encodeId, newId } from '../src/ids.ts';
import { addContact, addOperator, addOrganization, firstOrganization, mintToken } from './harness/access.ts';
import { ask, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import {
  type Attachment,
  attachmentFields,
  begin,
  beginWith,
  createAttachment,
  png,
  put,
  sendWith,
  uploadFile,
} from './harness/files.ts';
import { useServer } from './harness/server.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

const dataDir = createTemporaryFolder();
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
const server = useServer({
  config: { dataDir, attachmentMaxMb: 1, allowPrivateAddresses: true, rateLimitPerContact: 0 },
});

let organizationId: string;
let contactId: string;
let person: Target;
let another: Target;
let foreigner: Target;
const as = (key: string): Target => ({ url: server.url, key });

beforeAll(async () => {
  const { services } = server;
  organizationId = await firstOrganization(services);
  contactId = await addContact(services, organizationId);
  person = as(await mintToken(server, { contactId, grants: ['UPLOAD', 'START_CONVERSATION'] }));
  const other = await addContact(services, organizationId);
  another = as(await mintToken(server, { contactId: other, grants: ['UPLOAD', 'START_CONVERSATION'] }));
  foreigner = as((await addOrganization(services)).key);
});

const row = (id: string) => decodeId('Attachment', id) ?? '';
const read = async (target: Target, id: string) =>
  (
    await ask<{ node: Attachment | null }>(
      target,
      `{ node(id: "${id}") { ... on Attachment { ${attachmentFields} } } }`,
    )
  ).node;

/** The names of all files that are kept. */
function files(): string[] {
  const folder = join(dataDir, 'files', 'attachments');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((shard) => readdirSync(join(folder, shard)));
}

async function fileOf(id: string): Promise<string> {
  const { rows } = await server.services.pool.query<{ fileId: string }>(
    'SELECT file_id AS "fileId" FROM attachment WHERE id = $1',
    [row(id)],
  );
  return rows[0]?.fileId ?? '';
}

/** Sends only a part of what was told, and leaves it at that. */
async function sendPart(url: string, headers: Record<string, string>, parts: Buffer[]) {
  const upload = request(url, { method: 'PUT', headers, agent: false });
  upload.on('error', () => undefined);
  for (const part of parts) upload.write(part);
  return upload;
}

describe('an upload', () => {
  test('is kept once all of it is there, and told by its bytes', async () => {
    const file = png(640, 480);
    const { id, uploadUrl } = await createAttachment(person, { filename: 'lamp.txt', bytes: file.length });
    expect(await read(person, id)).toMatchObject({ status: 'PENDING', type: 'OTHER', contentType: null, url: null });
    const response = await put(uploadUrl, file);
    expect([response.status, await response.json()]).toEqual([201, { id, status: 'READY' }]);
    expect(await read(person, id)).toMatchObject({
      status: 'READY',
      type: 'IMAGE',
      filename: 'lamp.txt',
      contentType: 'image/png',
      bytes: file.length,
      width: 640,
      height: 480,
    });
  });

  test('is taken once, at the address as it was given, and before that expires', async () => {
    const file = png(1, 1);
    const { id, uploadUrl } = await createAttachment(server, { bytes: file.length });
    const altered = new URL(uploadUrl);
    altered.searchParams.set('expires', String(Number(altered.searchParams.get('expires')) + 60));
    expect((await put(altered.href, file)).status).toBe(403);
    expect((await put(uploadUrl.replace('signature=', 'signature=A'), file)).status).toBe(403);
    expect((await put(uploadUrl.replace(/att_[^?]+/, encodeId('Attachment', newId())), file)).status).toBe(403);
    expect((await fetch(uploadUrl)).status).toBe(404);
    expect((await put(uploadUrl, file)).status).toBe(201);
    const second = await put(uploadUrl, png(2, 2));
    expect([second.status, await second.json()]).toEqual([409, { error: 'The file was uploaded already.' }]);
    expect((await read(server, id))?.width).toBe(1);
  });

  test('with more bytes than were told is cut off while it arrives, and leaves nothing', async () => {
    const before = files();
    const { id, uploadUrl } = await createAttachment(server, { bytes: 100_000 });
    expect((await put(uploadUrl, Buffer.alloc(100_001))).status).toBe(413);
    // Without a length, which is found out on the way.
    const upload = await sendPart(uploadUrl, { 'transfer-encoding': 'chunked' }, [Buffer.alloc(150_000)]);
    const [response] = (await once(upload, 'response')) as [{ statusCode: number }];
    upload.destroy();
    expect(response.statusCode).toBe(413);
    expect(files()).toEqual(before);
    expect(await read(server, id)).toMatchObject({ status: 'PENDING', url: null });
  });

  test('that breaks off leaves nothing, and can be sent again', async () => {
    const before = files();
    const file = png(3, 3);
    const { id, uploadUrl } = await createAttachment(server, { bytes: file.length });
    const upload = await sendPart(uploadUrl, { 'content-length': String(file.length) }, [file.subarray(0, 20)]);
    await expect.poll(() => files().length).toBe(before.length + 1);
    // Meanwhile no other may come in between.
    expect((await put(uploadUrl, file)).status).toBe(409);
    upload.destroy();
    await expect.poll(() => files()).toEqual(before);
    await expect.poll(async () => (await put(uploadUrl, file)).status).toBe(201);
    expect(await read(server, id)).toMatchObject({ status: 'READY', width: 3 });
  });

  test('with fewer bytes than were told is refused', async () => {
    const { uploadUrl } = await createAttachment(server, { bytes: 100 });
    expect((await put(uploadUrl, Buffer.alloc(99))).status).toBe(400);
    expect(
      await new Promise((resolve) => {
        const upload = request(uploadUrl, { method: 'PUT', headers: { 'transfer-encoding': 'chunked' } });
        upload.on('response', ({ statusCode }) => resolve(statusCode)).end(Buffer.alloc(99));
      }),
    ).toBe(400);
  });

  test('of more than the server takes is refused before it begins', async () => {
    await expect(createAttachment(server, { bytes: 1_000_001 })).rejects.toThrow('Must be from 1 to 1000000');
    await expect(createAttachment(server, { bytes: 0 })).rejects.toThrow('Must be from 1 to 1000000');
  });

  test('that the storage cannot keep is 503, and leaves nothing', async () => {
    const { storage } = server.services;
    const write = storage.write.bind(storage);
    onTestFinished(() => void (storage.write = write));
    const file = png(4, 4);
    const { id, uploadUrl } = await createAttachment(server, { bytes: file.length });
    storage.write = () => Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
    const response = await put(uploadUrl, file);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '10']);
    expect(await response.text()).not.toContain('device');
    storage.write = write;
    expect((await put(uploadUrl, file)).status).toBe(201);
    expect(await read(server, id)).toMatchObject({ status: 'READY' });
  });

  test('is limited in how many wait to be named', async () => {
    const someone = as(
      await mintToken(server, { contactId: await addContact(server.services, organizationId), grants: ['UPLOAD'] }),
    );
    const all = await Promise.allSettled(Array.from({ length: 25 }, () => createAttachment(someone, { bytes: 1 })));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(20);
    await expect(createAttachment(someone, { bytes: 1 })).rejects.toThrow('wait to be named');
  });

  test.each([
    ['../../etc/passwd', 'passwd'],
    ['C:\\temp\\a.png', 'a.png'],
    ['in\u202Egnp.exe\u0000\n', 'ingnp.exe'],
    ['...', 'file'],
    ['\u{1F4F7} pic  ture.png', '\u{1F4F7} pic ture.png'],
    [`${'ä'.repeat(300)}.jpeg`, `${'ä'.repeat(97)}.jpeg`],
  ])('called %j is named %j', async (given, kept) => {
    if (given.includes('\0')) {
      await expect(createAttachment(server, { filename: given, bytes: 1 })).rejects.toThrow('NUL');
      given = given.replaceAll('\0', '\u0001');
    }
    const { id } = await createAttachment(server, { filename: given, bytes: 1 });
    expect((await read(server, id))?.filename).toBe(kept);
  });
});

describe('what a file is', () => {
  const bomb = png(900_000, 900_000);
  test.each([
    ['a page called photo.png', Buffer.from('<!doctype html><script>alert(1)</script>'), 'OTHER', 'text/plain'],
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'), 'OTHER', 'text/plain'],
    ['an SVG with a prolog', Buffer.from('<?xml version="1.0"?><svg/>'), 'OTHER', 'application/xml'],
    [
      'a GIF that is a page too',
      Buffer.concat([Buffer.from('GIF89a\x01\x00\x01\x00'), Buffer.from('<html><script>1</script>')]),
      'OTHER',
      'application/octet-stream',
    ],
    [
      'a PNG that is a PDF too',
      Buffer.concat([png(1, 1), Buffer.from('%PDF-1.7')]),
      'OTHER',
      'application/octet-stream',
    ],
    ['a PDF', Buffer.from('%PDF-1.7\n%âãÏÓ'), 'OTHER', 'application/pdf'],
    ['an archive', gzipSync('a'), 'OTHER', 'application/gzip'],
    ['bytes', Buffer.from([1, 2, 3, 0xff]), 'OTHER', 'application/octet-stream'],
    ['a sound', Buffer.from('RIFF\x24\x00\x00\x00WAVEfmt '), 'AUDIO', 'audio/wav'],
    ['a picture that would fill the memory', bomb, 'IMAGE', 'image/png'],
  ])('%s', async (_what, content, type, contentType) => {
    const id = await uploadFile(server, content, 'photo.png', 'IMAGE');
    const found = await read(server, id);
    expect(found).toMatchObject({ type, contentType });
    const response = await fetch(found?.url ?? '');
    const isShown = type !== 'OTHER';
    expect(response.headers.get('content-disposition')).toMatch(isShown ? /^inline;/ : /^attachment;/);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox");
    expect(Buffer.from(await response.arrayBuffer()).equals(content)).toBe(true);
  });

  test('a picture can be a sticker, and nothing else can', async () => {
    expect(await read(server, await uploadFile(server, png(1, 1), 'a', 'STICKER'))).toMatchObject({ type: 'STICKER' });
    expect(await read(server, await uploadFile(server, Buffer.from('a'), 'a', 'STICKER'))).toMatchObject({
      type: 'OTHER',
    });
  });
});

describe('a message', () => {
  test('names the attachments of its sender, in order, each once', async () => {
    const [one, two] = [await uploadFile(person, png(1, 1)), await uploadFile(person, png(2, 2))];
    const begun = await beginWith(person, one);
    expect(begun.message.attachments).toMatchObject([{ id: one, status: 'READY' }]);
    const { id: conversationId } = begun.conversation;
    const again = await sendWith(person, [{ id: two }, { id: one }], { conversationId, action: 'NONE' });
    expect(again).toMatchObject({
      __typename: 'InvalidInputError',
      issues: [{ path: ['attachments', '1', 'id'], detail: 'A message names it already.' }],
    });
    const sent = await sendWith(person, [{ id: two }], { conversationId, action: 'NONE' });
    expect(sent.message).toMatchObject({ text: '', attachments: [{ id: two }] });
    const { conversation } = await ask<{ conversation: { attachments: { nodes: { id: string }[] } } }>(
      server,
      `{ conversation(id: "${conversationId}") { attachments(first: 2) { nodes { id } } } }`,
    );
    expect(conversation.attachments.nodes.map(({ id }) => id)).toEqual([one, two]);
  });

  test('of two that name the same at once gets it alone', async () => {
    const conversations = await Promise.all([
      createConversation(server, { action: 'NONE' }),
      createConversation(server, { action: 'NONE' }),
    ]);
    for (let round = 0; round < 5; round += 1) {
      const id = await uploadFile(server, png(1, 1));
      const results = await Promise.all(
        [0, 1, 2, 3].map((n) =>
          sendWith(server, [{ id }], { conversationId: conversations[n % 2]?.conversation.id, action: 'NONE' }),
        ),
      );
      expect(results.map(({ __typename }) => __typename).sort()).toEqual([
        ...Array<string>(3).fill('InvalidInputError'),
        'SendMessagePayload',
      ]);
    }
  });

  test('cannot name what another has uploaded, what is not there yet, or the same twice', async () => {
    const {
      conversation: { id: conversationId },
    } = await createConversation(server, { contactId, action: 'NONE' });
    const send = (target: Target, ids: string[]) =>
      sendWith(
        target,
        ids.map((id) => ({ id })),
        { conversationId, action: 'NONE' },
      );
    const theirs = await uploadFile(another, png(1, 1));
    const missing = { __typename: 'NotFoundError', path: ['attachments', '0', 'id'] };
    expect(await send(person, [theirs])).toMatchObject(missing);
    expect(await send(server, [theirs])).toMatchObject(missing);
    expect(await send(server, [await uploadFile(foreigner, png(1, 1))])).toMatchObject(missing);
    expect(await send(server, ['att_nonsense'])).toMatchObject(missing);
    const { id: pending } = await createAttachment(person, { bytes: 5 });
    expect((await send(person, [pending])).issues?.[0]?.detail).toBe('Its file is not uploaded yet.');
    const own = await uploadFile(person, png(1, 1));
    expect((await send(person, [own, own])).issues?.[0]?.code).toBe('DUPLICATE');
    expect((await send(person, [own])).__typename).toBe('SendMessagePayload');
  });

  test('that is refused leaves its attachments to be named', async () => {
    const {
      conversation: { id: conversationId },
    } = await createConversation(server, { action: 'NONE' });
    const id = await uploadFile(server, png(1, 1));
    const refused = await sendWith(server, [{ id }], { conversationId, action: 'NONE', expectedVersion: 99 });
    expect(refused.__typename).toBe('VersionConflictError');
    const sent = await sendWith(server, [{ id }], { conversationId, action: 'NONE', idempotencyKey: 'once' });
    const again = await sendWith(server, [{ id }], { conversationId, action: 'NONE', idempotencyKey: 'once' });
    expect(again.message).toMatchObject({ id: sent.message.id, attachments: [{ id }] });
  });

  test('of an operator has files, in an answer and in a note', async () => {
    const { target } = await addOperator(server, { name: 'Kim' });
    const {
      conversation: { id: conversationId },
    } = await createConversation(server, { contactId, action: 'NONE' });
    await ask(target, `mutation { takeOver(input: { conversationId: "${conversationId}" }) { __typename } }`);
    const answer = await sendWith(
      target,
      [{ id: await uploadFile(target, png(1, 1)) }],
      { conversationId },
      'addAgentMessage',
    );
    expect(answer.message.attachments).toHaveLength(1);
    const note = await sendWith(target, [{ id: await uploadFile(target, png(1, 1)) }], { conversationId }, 'addNote');
    expect(note.message.attachments).toHaveLength(1);
  });
});

describe('who sees an attachment', () => {
  test('is its uploader alone, until a message names it', async () => {
    const id = await uploadFile(person, png(1, 1));
    for (const target of [server, another, foreigner]) expect(await read(target, id)).toBeNull();
    expect(await read(person, id)).toMatchObject({ id });
    await beginWith(person, id);
    expect(await read(server, id)).toMatchObject({ id });
    for (const target of [another, foreigner]) expect(await read(target, id)).toBeNull();
  });

  test('is never an end user, of a hidden message', async () => {
    const {
      conversation: { id: conversationId },
    } = await createConversation(server, { contactId, action: 'NONE' });
    const id = await uploadFile(server, png(1, 1));
    await sendWith(server, [{ id }], { conversationId }, 'addNote');
    expect(await read(person, id)).toBeNull();
    const list = `{ conversation(id: "${conversationId}") {
      attachments { nodes { id url } } messages { nodes { attachments { id url } } } } }`;
    expect(JSON.stringify(await ask(server, list))).toContain(id);
    expect(JSON.stringify(await ask(person, list))).not.toContain('att_');
  });
});

describe('a download', () => {
  const content = Buffer.from('0123456789'.repeat(1000));
  let url: string;
  beforeAll(async () => {
    url = (await read(server, await uploadFile(server, content, 'a "b" ü.txt')))?.url ?? '';
  });

  test('is the whole file, with its name and nothing that runs', async () => {
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '10000',
      'content-disposition': `attachment; filename="a _b_ _.txt"; filename*=UTF-8''a%20%22b%22%20%C3%BC.txt`,
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
      'accept-ranges': 'bytes',
    });
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '10000', '']);
    const tag = response.headers.get('etag') ?? '';
    expect((await fetch(url, { headers: { 'If-None-Match': tag } })).status).toBe(304);
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
  });

  test.each([
    ['bytes=0-9', 206, 'bytes 0-9/10000', '0123456789'],
    ['bytes=9995-', 206, 'bytes 9995-9999/10000', '56789'],
    ['bytes=-3', 206, 'bytes 9997-9999/10000', '789'],
    ['bytes=9999-99999', 206, 'bytes 9999-9999/10000', '9'],
    ['bytes=10000-', 416, 'bytes */10000', null],
    ['bytes=-0', 416, 'bytes */10000', null],
    ['bytes=5-1', 200, null, null],
    ['bytes=0-1,3-4', 200, null, null],
    ['lines=1-2', 200, null, null],
  ])('of %s is %i', async (range, status, told, text) => {
    const response = await fetch(url, { headers: { Range: range } });
    expect([response.status, response.headers.get('content-range')]).toEqual([status, told]);
    const body = await response.text();
    if (text !== null) expect(body).toBe(text);
    if (status === 200) expect(body).toHaveLength(10_000);
  });

  test('goes to whoever has its address as it was given, until that expires', async () => {
    const altered = (name: string, value: string) => {
      const other = new URL(url);
      other.searchParams.set(name, value);
      return other.href;
    };
    const past = String(Math.floor(Date.now() / 1000) - 1);
    const later = String(Math.floor(Date.now() / 1000) + 999_999);
    for (const wrong of [
      altered('expires', past),
      altered('expires', later),
      altered('signature', ''),
      altered('signature', 'AAAA'),
      url.replace(/att_[^?]+/, encodeId('Attachment', newId())),
    ]) {
      expect((await fetch(wrong)).status).toBe(404);
    }
  });

  test('of a file that is gone is 404, and of a storage that is away 503', async () => {
    const id = await uploadFile(server, content);
    const { url: lost = '' } = (await read(server, id)) ?? {};
    rmSync(join(dataDir, 'files', fileName(await fileOf(id))));
    expect((await fetch(lost)).status).toBe(404);
    const { storage } = server.services;
    const readFile = storage.read.bind(storage);
    onTestFinished(() => void (storage.read = readFile));
    storage.read = () => Promise.reject(new Error('connection refused'));
    const response = await fetch(url);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '10']);
  });
});

describe('a file from elsewhere', () => {
  let answer: (res: ServerResponse, path: string) => void;
  const elsewhere = createServer((req, res) => answer(res, req.url ?? ''));
  let base: string;
  beforeAll(async () => {
    await once(elsewhere.listen(0, '127.0.0.1'), 'listening');
    base = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  });
  afterAll(() => elsewhere.close());

  test('is fetched before the message is committed, and kept', async () => {
    let calls = 0;
    answer = (res, path) => {
      calls += 1;
      if (path === '/moved') res.writeHead(302, { Location: '/pictures/lamp%20on.png?x=1' }).end();
      else res.end(png(7, 8));
    };
    const input = { idempotencyKey: 'remote' };
    const begun = await begin(server, [{ remote: { url: `${base}/moved`, filename: 'lamp.png' } }], input);
    expect(begun.message.attachments).toMatchObject([{ type: 'IMAGE', filename: 'lamp.png', width: 7, height: 8 }]);
    expect((await fetch(begun.message.attachments[0]?.url ?? '')).status).toBe(200);
    const again = await begin(server, [{ remote: { url: `${base}/moved`, filename: 'lamp.png' } }], input);
    expect([again.message.id, calls]).toEqual([begun.message.id, 2]);
    const named = await begin(server, [{ remote: { url: `${base}/pictures/lamp%20on.png` } }]);
    expect(named.message.attachments[0]?.filename).toBe('lamp on.png');
  });

  test.each<[string, (res: ServerResponse) => void, RegExp]>([
    ['is not there', (res) => res.writeHead(404).end(), /status 404/],
    ['is too large by its headers', (res) => res.writeHead(200, { 'Content-Length': '1000001' }).end(), /more than/],
    ['is too large on the way', (res) => void res.end(Buffer.alloc(1_000_001)), /more than/],
    [
      'breaks off',
      (res) => (res.writeHead(200, { 'Content-Length': '10' }).write('a'), void setImmediate(() => res.destroy())),
      /whole/,
    ],
    ['leads round and round', (res) => res.writeHead(302, { Location: '/again' }).end(), /more than 3 times/],
    [
      'leads to no web address',
      (res) => res.writeHead(302, { Location: 'file:///etc/passwd' }).end(),
      /no web address/,
    ],
  ])('that %s is refused, and leaves nothing', async (_why, how, detail) => {
    answer = how;
    const before = files();
    const result = await begin(server, [{ remote: { url: `${base}/a.png` } }]);
    expect(result.__typename).toBe('InvalidInputError');
    expect(result.issues).toMatchObject([
      { path: ['message', 'attachments', '0', 'remote', 'url'], detail: expect.stringMatching(detail) },
    ]);
    await expect.poll(files).toEqual(before);
  });

  test('of a message that is refused is removed', async () => {
    answer = (res) => void res.end(png(1, 1));
    const before = files();
    const {
      conversation: { id: conversationId },
    } = await createConversation(server, { action: 'NONE' });
    const sent = await sendWith(server, [{ remote: { url: base } }], { conversationId, expectedVersion: 99 });
    expect(sent.__typename).toBe('VersionConflictError');
    await expect.poll(files).toEqual(before);
  });

  test('of a message that is committed stays, when only the answer of the commit is lost', async () => {
    answer = (res) => void res.end(png(1, 1));
    const {
      conversation: { id: conversationId },
    } = await createConversation(server, { action: 'NONE' });
    const { pool } = server.services;
    const query = pool.query.bind(pool);
    const lost = vi.spyOn(pool, 'query').mockImplementation(async (statement, values) => {
      const result = await query(statement, values);
      if (typeof statement === 'object' && statement.name === 'append')
        throw new Error('Connection terminated unexpectedly');
      return result;
    });
    onTestFinished(() => lost.mockRestore());
    const remote = { url: base, filename: 'committed.png' };
    await expect(sendWith(server, [{ remote }], { conversationId, action: 'NONE' })).rejects.toThrow();
    lost.mockRestore();
    const { rows } = await pool.query<{ isNamed: boolean; isRemoved: boolean }>(
      `SELECT message_id IS NOT NULL AS "isNamed", deleted_at IS NOT NULL AS "isRemoved" FROM attachment
        WHERE filename = 'committed.png'`,
    );
    expect(rows).toEqual([{ isNamed: true, isRemoved: false }]);
  });

  test('is for operators, and not at an address that is not public', async () => {
    const refused = await begin(person, [{ remote: { url: base } }]);
    expect(refused.issues).toMatchObject([{ path: ['message', 'attachments', '0', 'remote'] }]);
    const { services } = server;
    services.allowPrivateAddresses = false;
    onTestFinished(() => void (services.allowPrivateAddresses = true));
    for (const url of [base, 'http://169.254.169.254/latest', 'http://[::1]/', 'http://localhost/']) {
      const result = await begin(server, [{ remote: { url } }]);
      expect(result.issues).toMatchObject([{ detail: 'The address is not public.' }]);
    }
  });
});

describe('what is left over', () => {
  const { signal } = new AbortController();
  const sweep = () => removeLeftOver(server.services, signal);
  const exists = async (id: string) =>
    (await server.services.pool.query('SELECT FROM attachment WHERE id = $1', [row(id)])).rows.length > 0;
  const age = (id: string, set: string) =>
    server.services.pool.query(`UPDATE attachment SET ${set} WHERE id = $1`, [row(id)]);

  test('goes with the conversation, and its address at once', async () => {
    const id = await uploadFile(person, png(1, 1));
    const file = await fileOf(id);
    const { conversation, message } = await beginWith(person, id);
    await ask(
      server,
      `mutation { deleteConversation(input: { conversationId: "${conversation.id}" }) { __typename } }`,
    );
    expect((await fetch(message.attachments[0]?.url ?? '')).status).toBe(404);
    await expect.poll(() => files().includes(file)).toBe(false);
    await expect.poll(() => exists(id)).toBe(false);
  });

  test('goes when nobody has named it within a day, and not before', async () => {
    const [named, young, old, pending] = await Promise.all([
      uploadFile(server, png(1, 1)),
      uploadFile(server, png(1, 1)),
      uploadFile(server, png(1, 1)),
      createAttachment(server, { bytes: 1 }).then(({ id }) => id),
    ]);
    const file = await fileOf(old);
    await beginWith(server, named);
    for (const id of [named, old, pending]) await age(id, "created_at = now() - interval '25 hours'");
    await sweep();
    expect(await Promise.all([named, young, old, pending].map(exists))).toEqual([true, true, false, false]);
    expect(files()).not.toContain(file);
  });

  test('goes when what named it is gone without telling', async () => {
    const id = await uploadFile(server, png(1, 1));
    const { conversation } = await beginWith(server, id);
    await server.services.pool.query('DELETE FROM conversation WHERE id = $1', [
      decodeId('Conversation', conversation.id),
    ]);
    expect(await read(server, id)).toBeNull();
    await sweep();
    expect(await exists(id)).toBe(false);
  });

  test('is marked under a lock of its own organization, and of no other', async () => {
    const { services } = server;
    const { conversation } = await beginWith(server, await uploadFile(server, png(1, 1)));
    const conversationId = decodeId('Conversation', conversation.id) ?? '';
    const removal = { conversationId, organizationId, actor: { kind: 'SYSTEM' } as const };
    // Another organization, whose files are to go while this transaction is open.
    const also = () => services.jobs.add(removeTask, null, { key: removeTask.name });
    expect(await removeConversation(services, removal, { also })).toMatchObject({ attachments: 1, isGone: true });
  });

  test('goes whatever else cannot be removed, and that is tried again', async () => {
    const { pool, storage, logger } = server.services;
    const leaving = decodeId('Contact', contactId) ?? '';
    const [stuck, other, own] = [
      await uploadFile(server, png(1, 1)),
      await uploadFile(server, png(1, 1)),
      await uploadFile(server, png(1, 1)),
    ];
    const stuckFile = fileName(await fileOf(stuck));
    const remove = storage.remove.bind(storage);
    onTestFinished(() => void (storage.remove = remove));
    storage.remove = (name) => (name === stuckFile ? Promise.reject(new Error('denied')) : remove(name));
    await removeAttachments(pool, organizationId, { attachmentIds: [row(stuck), row(other)] });
    await removeAttachments(pool, organizationId, { attachmentIds: [row(own)] }, leaving);
    await removeFiles({ pool, storage, logger }, signal, leaving);
    expect(await exists(own)).toBe(false);
    await expect(removeFiles({ pool, storage, logger }, signal)).rejects.toThrow('1 files could not be removed');
    expect(await Promise.all([stuck, other].map(exists))).toEqual([true, false]);
    storage.remove = remove;
    await removeFiles({ pool, storage, logger }, signal);
    expect(await exists(stuck)).toBe(false);
  });

  test('of a server that died: a file without a row, and a row without a file', async () => {
    // A UUIDv7 of long ago, and one of now.
    const [old, young] = ['01800000-0000-7000-8000-0000000000aa', newId().replace(/..$/, 'aa')];
    const shard = shardOf(old);
    const folder = join(dataDir, 'files', shardFolder(shard));
    mkdirSync(folder, { recursive: true });
    for (const name of [old, young, 'not-ours.txt']) writeFileSync(join(folder, name), 'a');
    await compareShard(server.services, shard);
    const left = readdirSync(folder);
    expect([old, young, 'not-ours.txt'].map((name) => left.includes(name))).toEqual([false, true, true]);

    const id = await uploadFile(server, png(1, 1));
    await beginWith(server, id);
    const file = await fileOf(id);
    rmSync(join(dataDir, 'files', fileName(file)));
    await age(id, "ready_at = now() - interval '2 hours'");
    await compareShard(server.services, shardOf(file));
    expect(await read(server, id)).toMatchObject({ id });
    await age(id, "missing_since = now() - interval '1 day'");
    await compareShard(server.services, shardOf(file));
    expect(await read(server, id)).toBeNull();
    await sweep();
    expect(await exists(id)).toBe(false);
  });

  test('stays where it belongs to another database', async () => {
    // The folder whose turn it is, and the next, should the hour end meanwhile.
    const turns = [0, 1].map((n) => (Math.floor(Date.now() / 3_600_000) + n) % 24);
    const old = turns.map((turn) => `01800000-0000-7000-8000-0000000000${turn.toString(16).padStart(2, '0')}`);
    for (const fileId of old) {
      mkdirSync(join(dataDir, 'files', shardFolder(shardOf(fileId))), { recursive: true });
      writeFileSync(join(dataDir, 'files', fileName(fileId)), 'a');
    }
    const left = () => old.filter((fileId) => files().includes(fileId));
    const sweepOnce = () => sweepHandler(server.services).run(null, { signal, attempt: 1, isLast: false });
    const owner = join(dataDir, 'files', OWNER);
    expect(await ownsFiles(server.services)).toBe(true);
    const ours = readFileSync(owner);
    writeFileSync(owner, 'another');
    await sweepOnce();
    expect(left()).toEqual(old);
    writeFileSync(owner, ours);
    await sweepOnce();
    expect(left()).toHaveLength(1);
  });

  test('of a server that died in the middle of an upload does not keep the next one out for ever', async () => {
    const { id, uploadUrl } = await createAttachment(server, { bytes: png(1, 1).length });
    await age(id, 'file_id = gen_random_uuid(), shard = 0, claimed_at = now()');
    expect((await put(uploadUrl, png(1, 1))).status).toBe(409);
    await age(id, "claimed_at = now() - interval '1 hour'");
    expect((await put(uploadUrl, png(1, 1))).status).toBe(201);
  });

  test('moves with an anonymous person into the known one', async () => {
    const { services } = server;
    const visitor = await addContact(services, organizationId, { anonymous: true });
    const target = as(await mintToken(server, { contactId: visitor, grants: ['UPLOAD'] }));
    const id = await uploadFile(target, png(1, 1));
    await ask(
      server,
      `mutation { mergeContacts(input: { contactId: "${visitor}", intoContactId: "${contactId}" }) { __typename } }`,
    );
    expect(await read(person, id)).toMatchObject({ id });
    expect((await beginWith(person, id)).__typename).toBe('CreateConversationPayload');
  });
});
