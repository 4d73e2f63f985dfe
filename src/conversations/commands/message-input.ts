import type { Author, Caller } from '../../access/caller.ts';
import { type AttachmentInput, type MessageFile, readFiles } from '../../attachments/name-in-message.ts';
import { finders, theOne } from '../../access/finders.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { JsonObject } from '../../json.ts';
import { type AuthorInput, type ContentInput, InputReader, type StateInput } from './input.ts';
import type { Canvas, NewMessage, StatePatch } from '../model.ts';
import { readOverride } from './parameters.ts';
import type { ConversationServices } from '../services.ts';
import { titleOf } from './title.ts';

/** The value of a `MessageInput`. `SendMessageInput` has the same fields. */
export interface MessageInput {
  content: ContentInput;
  author?: AuthorInput | null | undefined;
  contactId?: string | null | undefined;
  canvas?: Canvas | null | undefined;
  metadata?: unknown;
  contentPayload?: unknown;
  queryMetadata?: unknown;
  clientId?: string | null | undefined;
  attachments?: readonly AttachmentInput[] | null | undefined;
}

/** The longest `clientId`, in bytes. */
const MAX_CLIENT_ID = 255;

/** A message that is sent, with what it does to the conversation. */
export interface MessageToSend extends MessageInput {
  stateAfter?: StateInput | null | undefined;
  runtimeParameters?: unknown;
  idempotencyKey?: string | null | undefined;
}

/** Reads all of it. Throws `InvalidInputError` that tells of all faults together. */
export async function readMessageToSend(
  services: ConversationServices,
  caller: Caller,
  conversationId: string,
  input: MessageToSend,
): Promise<{
  key: string | null;
  message: NewMessage;
  files: MessageFile[];
  state: StatePatch | null;
  runtimeParameters: JsonObject;
}> {
  const reader = new InputReader();
  const key = reader.idempotencyKey(input.idempotencyKey);
  const message = await readUserMessage(services, caller, reader, [], input);
  const files = readFiles(reader, caller, ['attachments'], input.attachments);
  const state = input.stateAfter ? reader.state(['stateAfter'], input.stateAfter) : null;
  const runtimeParameters = await readOverride(services, caller, reader, conversationId, input.runtimeParameters);
  reader.finish();
  return { key, message, files, state, runtimeParameters };
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
  const clientId = reader.text([...path, 'clientId'], input.clientId, MAX_CLIENT_ID) ?? null;
  if (caller.confinedTo) reader.atMost(path, content, services.maxEndUserMessageBytes);
  return {
    id: services.newId(),
    role: 'USER',
    author: contact || given ? { kind: 'END_USER', ...contact, ...given } : caller.confinedTo && caller.actor,
    title: titleOf(content.fragments),
    ...content,
    ...(clientId !== null && { clientId, clientIdOf: caller.id }),
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
    fragments: reader.content([...path, 'content'], input.content, (input.attachments?.length ?? 0) > 0),
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
  const contact = uuid && (await theOne(finders.Contact({ services, viewer: caller }, [uuid])));
  if (!contact) throw new NotFoundError(path);
  const { externalId, displayName, avatarUrl } = contact;
  return { contactId: contact.id, externalId, displayName, avatarUrl };
}
