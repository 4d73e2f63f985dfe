import type { Author, Caller } from '../../access/caller.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { AuthorInput, ContentInput, InputReader } from './input.ts';
import type { Canvas, NewMessage } from '../model.ts';
import type { ConversationServices } from '../services.ts';

/** The value of a `MessageInput`. `SendMessageInput` has the same fields. */
export interface MessageInput {
  content: ContentInput;
  author?: AuthorInput | null | undefined;
  contactId?: string | null | undefined;
  canvas?: Canvas | null | undefined;
  metadata?: unknown;
  contentPayload?: unknown;
  queryMetadata?: unknown;
}

/** Reads an end user's message. `contactId` left out: the conversation's contact wrote it. */
export async function readUserMessage(
  services: ConversationServices,
  caller: Caller,
  reader: InputReader,
  path: string[],
  input: MessageInput,
): Promise<NewMessage> {
  const given = input.author ? reader.author([...path, 'author'], input.author) : null;
  const contact =
    input.contactId == null ? null : await findContact(services, caller, [...path, 'contactId'], input.contactId);
  const content = readContent(reader, path, input);
  if (caller.confinedTo) reader.atMost(path, content, services.maxEndUserMessageBytes);
  return {
    id: services.newId(),
    role: 'USER',
    author: contact || given ? { kind: 'END_USER', ...contact, ...given } : null,
    ...content,
  };
}

/** Reads the fields that all kinds of messages have. */
export function readContent(
  reader: InputReader,
  path: string[],
  input: MessageInput,
): Pick<NewMessage, 'fragments' | 'metadata' | 'contentPayload' | 'queryMetadata' | 'canvas'> {
  const canvasAt = [...path, 'canvas'];
  return {
    fragments: reader.content([...path, 'content'], input.content),
    metadata: reader.metadata([...path, 'metadata'], input.metadata),
    contentPayload: reader.object([...path, 'contentPayload'], input.contentPayload) ?? null,
    queryMetadata: reader.object([...path, 'queryMetadata'], input.queryMetadata) ?? null,
    canvas: input.canvas
      ? {
          name: reader.text([...canvasAt, 'name'], input.canvas.name) ?? '',
          type: reader.text([...canvasAt, 'type'], input.canvas.type) ?? '',
          title: reader.text([...canvasAt, 'title'], input.canvas.title) ?? '',
          content: reader.text([...canvasAt, 'content'], input.canvas.content, 1024 * 1024) ?? '',
        }
      : null,
  };
}

/** The author for a contact of the caller's organization. Throws `NotFoundError` with the path. */
export async function findContact(
  services: ConversationServices,
  caller: Caller,
  path: string[],
  id: string,
): Promise<Omit<Author, 'kind'>> {
  const uuid = decodeId('Contact', id);
  const contact =
    uuid && (await services.prisma.contact.findFirst({ where: { id: uuid, organizationId: caller.organizationId } }));
  if (!contact) throw new NotFoundError(path);
  const { externalId, displayName, avatarUrl } = contact;
  return { contactId: contact.id, externalId, displayName, avatarUrl };
}
