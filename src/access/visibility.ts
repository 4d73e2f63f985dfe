import type { Prisma } from '../generated/prisma/client.ts';
import type { EventType, MessageRole } from '../generated/prisma/enums.ts';
import type { Viewer } from './viewer.ts';

/** The requested roles, reduced to those that the viewer may see. Null means all. */
export function rolesFor(
  { confinedTo }: Viewer,
  asked: readonly MessageRole[] | null | undefined,
): readonly MessageRole[] | null {
  if (!confinedTo) return asked ?? null;
  return endUserRoles.filter((role) => asked?.includes(role) ?? true);
}

/**
 * The roles of messages that end users see. Only these count in `messageCount`, can be the last message, and are found by
 * a keyword. A role that is not in this list is hidden.
 */
export const endUserRoles = ['USER', 'AGENT'] as const satisfies readonly MessageRole[];

/** The roles of messages that go into a prompt. A role that is not in this list is hidden from the agent. */
export const promptRoles = ['USER', 'AGENT', 'CONTROL'] as const satisfies readonly MessageRole[];

/** The events of the log that end users see. An event that is not in this list is hidden. */
const endUserEvents: readonly EventType[] = [
  'ConversationCreated',
  'MessageCreated',
  'MessageCompleted',
  'HandoffStarted',
  'HandoffAccepted',
  'HandoffEnded',
  'ConversationUpdated',
  'ConversationEnded',
  'ConversationDeleted',
  'FeedbackGiven',
  'MessageErased',
];

/** Groups of viewers who see the same of a conversation. Data is shared only within one audience. */
export const audiences = ['OPERATORS', 'END_USERS'] as const;

export type Audience = (typeof audiences)[number];

/** The audience of a viewer. The caller has checked that the viewer may see the conversation. */
export function audienceOf({ confinedTo }: Viewer): Audience {
  return confinedTo ? 'END_USERS' : 'OPERATORS';
}

/** A condition for the messages of a conversation that an audience may see. */
export function messagesFor(audience: Audience) {
  return (audience === 'OPERATORS' ? {} : { role: { in: [...endUserRoles] } }) satisfies Prisma.MessageWhereInput;
}

/** Whether an audience may see messages of this role. */
export function isShownTo(audience: Audience, role: MessageRole): boolean {
  return audience === 'OPERATORS' || endUserRoles.some((shown) => shown === role);
}

/** Whether an audience may see events of this type. */
export function isToldOf(audience: Audience, type: EventType): boolean {
  return audience === 'OPERATORS' || endUserEvents.includes(type);
}

/** What decides which rows a viewer may see. */
export type Seer = Pick<Viewer, 'id' | 'organizationId' | 'confinedTo' | 'inboxId'>;

/**
 * Conditions for the rows that a viewer may see: those of its organization, and for a client token only those of its
 * own conversations, with the messages that end users see, and the inbox of its visit.
 */
export function visibleTo({ id: uploader, organizationId, confinedTo, inboxId }: Seer) {
  const all = { organizationId };
  // Until a message names it, only its uploader sees an attachment.
  const unnamed = { organizationId, deletedAt: null, uploader, messageId: null, namedAt: null };
  const kept = { organizationId, erasingSince: null };
  if (!confinedTo) {
    return {
      conversation: all,
      message: all,
      handoff: all,
      contact: kept,
      attachment: { organizationId, OR: [unnamed, { deletedAt: null, message: all }] },
      agent: all,
      inbox: all,
      corpus: all,
      operator: all,
    };
  }
  const conversation =
    'contactId' in confinedTo
      ? { organizationId, contactId: confinedTo.contactId }
      : { organizationId, id: confinedTo.conversationId };
  const message = { organizationId, conversation, ...messagesFor('END_USERS') };
  const ofConversations = { organizationId, conversations: { some: conversation } };
  return {
    conversation,
    message,
    attachment: { organizationId, OR: [unnamed, { deletedAt: null, message }] },
    handoff: { organizationId, conversation },
    contact: 'contactId' in confinedTo ? { ...kept, id: confinedTo.contactId } : { ...kept, ...ofConversations },
    agent: ofConversations,
    inbox: inboxId === undefined ? ofConversations : { OR: [ofConversations, { organizationId, id: inboxId }] },
    corpus: { organizationId, id: { in: [] } },
    operator: { organizationId, id: { in: [] } },
  } satisfies {
    conversation: Prisma.ConversationWhereInput;
    message: Prisma.MessageWhereInput;
    attachment: Prisma.AttachmentWhereInput;
    handoff: Prisma.HandoffWhereInput;
    contact: Prisma.ContactWhereInput;
    agent: Prisma.AgentWhereInput;
    inbox: Prisma.InboxWhereInput;
    corpus: Prisma.CorpusWhereInput;
    operator: Prisma.OperatorWhereInput;
  };
}
