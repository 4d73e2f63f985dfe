import { deflateSync } from 'node:zlib';
import type { Storage } from '../../src/storage/storage.ts';
import { ask, type Target } from './client.ts';

/** A storage for what reads no files. */
export const noStorage: Pick<Storage, 'read'> = { read: () => Promise.reject(new Error('There are no files here.')) };

/** A PNG that says it has this size. Only its headers are right. */
export function png(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 6, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(16))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, Buffer.from(type, 'latin1'), data, Buffer.alloc(4)]);
}

export interface Created {
  id: string;
  uploadUrl: string;
}

/** Prepares an upload; throws when that fails. */
export async function createAttachment(
  target: Target,
  input: { filename?: string; bytes: number; type?: string },
): Promise<Created> {
  const { result } = await ask<{ result: { detail?: string; uploadUrl: string; attachment: { id: string } } }>(
    target,
    `mutation ($input: CreateAttachmentInput!) {
      result: createAttachment(input: $input) {
        ... on CreateAttachmentPayload { uploadUrl attachment { id } } ... on UserError { detail }
      }
    }`,
    { input: { filename: 'photo.png', ...input } },
  );
  if (result.detail !== undefined) throw new Error(result.detail);
  return { id: result.attachment.id, uploadUrl: result.uploadUrl };
}

export function put(url: string, body: Uint8Array): Promise<Response> {
  return fetch(url, { method: 'PUT', body: new Uint8Array(body) });
}

/** Uploads a file; returns the id of its attachment. */
export async function uploadFile(target: Target, content: Uint8Array, filename = 'photo.png', type?: string) {
  const { id, uploadUrl } = await createAttachment(target, {
    filename,
    bytes: content.byteLength,
    ...(type && { type }),
  });
  const response = await put(uploadUrl, content);
  if (response.status !== 201) throw new Error(await response.text());
  return id;
}

export const attachmentFields = 'id type status filename contentType bytes width height url';

export interface Attachment {
  id: string;
  type: string;
  status: string;
  filename: string;
  contentType: string | null;
  bytes: number | null;
  width: number | null;
  height: number | null;
  url: string;
}

export interface SentWith {
  __typename: string;
  detail?: string;
  path?: string[];
  issues?: { path: string[]; code: string; detail: string }[];
  conversation: { id: string };
  message: { id: string; text: string; attachments: Attachment[] };
}

/** Sends by this mutation with attachments; tells how it went. */
export async function sendWith(
  target: Target,
  attachments: readonly object[],
  input: Record<string, unknown>,
  mutation = 'sendMessage',
): Promise<SentWith> {
  const type = mutation.charAt(0).toUpperCase() + mutation.slice(1);
  const { result } = await ask<{ result: SentWith }>(
    target,
    `mutation ($input: ${type}Input!) {
      result: ${mutation}(input: $input) {
        __typename
        ... on ${type}Payload { conversation { id } message { id text attachments { ${attachmentFields} } } }
        ... on NotFoundError { path detail } ... on InvalidInputError { detail issues { path code detail } }
        ... on UserError { detail }
      }
    }`,
    { input: { content: { text: '' }, attachments, ...input } },
  );
  return result;
}

/** A conversation that begins with this file. */
export function beginWith(target: Target, attachmentId: string, input: Record<string, unknown> = {}) {
  return begin(target, [{ id: attachmentId }], input);
}

export async function begin(target: Target, attachments: readonly object[], input: Record<string, unknown> = {}) {
  const { result } = await ask<{ result: SentWith }>(
    target,
    `mutation ($input: CreateConversationInput!) {
      result: createConversation(input: $input) {
        __typename
        ... on CreateConversationPayload { conversation { id } message { id text attachments { ${attachmentFields} } } }
        ... on NotFoundError { path detail } ... on InvalidInputError { detail issues { path code detail } }
        ... on UserError { detail }
      }
    }`,
    { input: { action: 'NONE', message: { content: { text: 'Look.' }, attachments }, ...input } },
  );
  return result;
}
