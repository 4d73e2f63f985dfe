import type { Prisma } from '../generated/prisma/client.ts';
import type { EventType, MessageRole } from '../generated/prisma/enums.ts';
import type { Viewer } from './viewer.ts';

/** Those of the roles asked for that a viewer sees; null for all. */
export function rolesFor(
  { confinedTo }: Viewer,
  asked: readonly MessageRole[] | null | undefined,
): readonly MessageRole[] | null {
  if (!confinedTo) return asked ?? null;
  return endUserRoles.filter((role) => asked?.includes(role) ?? true);
}

/**
 * The roles of messages that end users see. They alone count in `messageCount`, can be the last message, and are found by
 * words. A role that is not in this list is hidden.
 */
export const endUserRoles = ['USER', 'AGENT'] as const satisfies readonly MessageRole[];

/** The roles of messages that go into a prompt. A role that is not in this list is kept from the agent. */
export const promptRoles = ['USER', 'AGENT', 'CONTROL'] as const satisfies readonly MessageRole[];

/** The events of the log that end users are told of. An event that is not in this list is hidden. */
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
];

/** Those who see the same of a conversation. What is shared among viewers is shared within one audience. */
export const audiences = ['OPERATORS', 'END_USERS'] as const;

export type Audience = (typeof audiences)[number];

/** Among whom a viewer of a conversation is; that they may see the conversation has been checked. */
export function audienceOf({ confinedTo }: Viewer): Audience {
  return confinedTo ? 'END_USERS' : 'OPERATORS';
}

/** The messages of a conversation that an audience sees, as a condition for queries. */
export function messagesFor(audience: Audience) {
  return (audience === 'OPERATORS' ? {} : { role: { in: [...endUserRoles] } }) satisfies Prisma.MessageWhereInput;
}

/** Whether an audience sees messages of this role. */
export function isShownTo(audience: Audience, role: MessageRole): boolean {
  return audience === 'OPERATORS' || endUserRoles.some((shown) => shown === role);
}

/** Whether an audience is told of events of this type. */
export function isToldOf(audience: Audience, type: EventType): boolean {
  return audience === 'OPERATORS' || endUserEvents.includes(type);
}

/**
 * The rows that a viewer may see, as conditions for queries: those of its organization, and for a client token those of its
 * own conversations, with the messages that end users see.
 */
export function visibleTo({ organizationId, confinedTo }: Pick<Viewer, 'organizationId' | 'confinedTo'>) {
  const all = { organizationId };
  if (!confinedTo) {
    return { conversation: all, message: all, handoff: all, contact: all, agent: all, inbox: all, corpus: all };
  }
  const conversation =
    'contactId' in confinedTo
      ? { organizationId, contactId: confinedTo.contactId }
      : { organizationId, id: confinedTo.conversationId };
  const ofConversations = { organizationId, conversations: { some: conversation } };
  return {
    conversation,
    message: { organizationId, conversation, ...messagesFor('END_USERS') },
    handoff: { organizationId, conversation },
    contact: 'contactId' in confinedTo ? { organizationId, id: confinedTo.contactId } : ofConversations,
    agent: ofConversations,
    inbox: ofConversations,
    corpus: { organizationId, id: { in: [] } },
  } satisfies {
    conversation: Prisma.ConversationWhereInput;
    message: Prisma.MessageWhereInput;
    handoff: Prisma.HandoffWhereInput;
    contact: Prisma.ContactWhereInput;
    agent: Prisma.AgentWhereInput;
    inbox: Prisma.InboxWhereInput;
    corpus: Prisma.CorpusWhereInput;
  };
}
