import { rmSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { ask } from './harness/client.ts';
import { useServer } from './harness/server.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

const dataDir = createTemporaryFolder();
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
const server = useServer({ config: { dataDir } });
describe('smoke', () => {
  test('upload', async () => {
    const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
    const r = await ask<any>(server, `mutation { result: createAttachment(input: {filename: "a.png", bytes: ${png.length}}) { __typename ... on CreateAttachmentPayload { uploadUrl attachment { id status type filename bytes url } } ... on UserError { detail } } }`);
    console.log(r);
    const put = await fetch(r.result.uploadUrl, { method: 'PUT', body: png });
    console.log(put.status, await put.text());
    const again = await fetch(r.result.uploadUrl, { method: 'PUT', body: png });
    console.log(again.status, await again.text());
    const m = await ask<any>(server, `mutation { result: createConversation(input: {action: NONE, message: {content: {text: ""}, attachments: [{id: "${r.result.attachment.id}"}]}}) { __typename ... on CreateConversationPayload { conversation { id attachments { nodes { id } } } message { text attachments { id status type filename contentType bytes width height url } } } ... on UserError { detail } } }`);
    console.log(JSON.stringify(m, null, 1));
    const url = m.result.message.attachments[0].url;
    const got = await fetch(url);
    console.log(got.status, got.headers, Buffer.from(await got.arrayBuffer()).equals(png));
    const m2 = await ask<any>(server, `mutation { result: createConversation(input: {action: NONE, message: {content: {text: ""}, attachments: [{id: "${r.result.attachment.id}"}]}}) { __typename  ... on UserError { detail } } }`);
    console.log(m2);
  });
});
