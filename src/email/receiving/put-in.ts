import type { Caller } from '../../access/caller.ts';
import { createConversation } from '../../conversations/commands/create.ts';
import { sendMessage } from '../../conversations/commands/send.ts';
import { titleOf } from '../../conversations/commands/title.ts';
import { ConversationEndedError } from '../../conversations/failures.ts';
import type { ConversationServices } from '../../conversations/services.ts';
import { encodeId } from '../../ids.ts';
import { contactAt } from '../contacts.ts';
import type { Letter } from '../letter/letter.ts';
import { storedText } from '../stored-text.ts';
import type { ReceivingInbox, Thread } from './thread.ts';

/** What cannot be stored is left out. */
export const plain = (text: string | undefined) => text?.toWellFormed().replaceAll('\0', '') ?? null;

export const callerIdOf = (inboxId: string) => `inbox:${inboxId}`;

/** The idempotency keys of the commands that a letter may come to. */
export const keysOf = (letterId: string) => ({ goesOn: `letter ${letterId}`, begins: `letter ${letterId} begins` });

/** A letter that was read. */
export interface Came {
  letterId: string;
  inbox: ReceivingInbox;
  letter: Letter;
  vouchedFor: boolean;
}

export interface Said extends Omit<Came, 'vouchedFor'> {
  attachments: { id: string }[];
  action: 'GENERATE_REPLY' | 'NONE';
}

/** Sends the letter to its conversation. One that has ended meanwhile is continued. */
export async function goOn(services: ConversationServices, said: Said, thread: Thread) {
  const { letterId, inbox, letter, action, attachments } = said;
  const isContact = letter.from?.address.toLowerCase() === thread.contactAddress?.toLowerCase();
  try {
    return await sendMessage(services, callerOf(inbox, thread.contactId), {
      conversationId: encodeId('Conversation', thread.conversationId),
      content: { text: textOf(services, letter) },
      attachments,
      ...(!isContact && { author: authorOf(letter) }),
      action,
      awaitReply: false,
      // Who writes again does not wait for an answer to the letter before. What is not answered stops none, and comes in after it.
      onBusy: action === 'NONE' ? 'REJECT' : 'INTERRUPT',
      idempotencyKey: keysOf(letterId).goesOn,
    });
  } catch (error) {
    if (!(error instanceof ConversationEndedError)) throw error;
    return begin(services, said, { thread, vouchedFor: true });
  }
}

/** Begins a conversation with the letter: one that continues the thread, if it has one. */
export async function begin(
  services: ConversationServices,
  said: Said,
  { thread, vouchedFor }: { thread: Thread | null; vouchedFor: boolean },
) {
  const { letterId, inbox, letter, action, attachments } = said;
  const address = letter.from?.address ?? '';
  const name = plain(letter.from?.name ?? undefined) || null;
  const at = { db: services.pool, newId: services.newId };
  const contactId =
    thread?.contactId ?? (await contactAt(at, inbox.organizationId, { address, name, vouchedFor })).contactId;
  const isContact = !thread || address.toLowerCase() === thread.contactAddress?.toLowerCase();
  const subject = titleOf([{ kind: 'TEXT', text: plain(letter.subject) ?? '', metadata: {} }]);
  return createConversation(services, callerOf(inbox, contactId), {
    inboxId: encodeId('Inbox', inbox.id),
    contactId: encodeId('Contact', contactId),
    ...(thread && {
      continues: encodeId('Conversation', thread.conversationId),
      agentId: encodeId('Agent', thread.agentId),
    }),
    title: subject,
    message: {
      content: { text: textOf(services, letter) },
      attachments,
      ...(!isContact && { author: authorOf(letter) }),
    },
    action,
    awaitReply: false,
    idempotencyKey: keysOf(letterId).begins,
  });
}

/** The inbox, in whose name a letter is put in. */
export function callerOf(
  { id, organizationId }: Pick<ReceivingInbox, 'id' | 'organizationId'>,
  contactId: string | null,
): Caller {
  return {
    organizationId,
    confinedTo: null,
    contactId: null,
    tokenGeneration: 0,
    operatorId: null,
    endsWith: [],
    id: callerIdOf(id),
    actor: { kind: 'END_USER', ...(contactId !== null && { contactId }) },
    keyId: null,
    expiresAt: null,
  };
}

/** Somebody else than the contact, who was sent the letter on. */
function authorOf({ from }: Letter) {
  return { displayName: plain(from?.name || from?.address) };
}

function textOf({ maxEndUserMessageBytes }: ConversationServices, { newText, text, subject }: Letter): string {
  const said = [newText, text, subject].find((part) => part.trim() !== '') ?? '(The letter is empty.)';
  return storedText(said, maxEndUserMessageBytes);
}
