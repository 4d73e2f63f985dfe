import type { Prisma } from '../generated/prisma/client.ts';
import type { MessageRole } from '../generated/prisma/enums.ts';
import type { Viewer } from './viewer.ts';

/** The roles of messages that end users see. A role that is not in this list is hidden. */
export const endUserRoles = ['USER', 'AGENT'] as const satisfies readonly MessageRole[];

/** Those of the roles asked for that a viewer sees; null for all. */
export function rolesFor(
  { confinedTo }: Viewer,
  asked: readonly MessageRole[] | null | undefined,
): readonly MessageRole[] | null {
  if (!confinedTo) return asked ?? null;
  return endUserRoles.filter((role) => asked?.includes(role) ?? true);
}

/**
 * The rows that a viewer may see, as conditions for queries: those of its organization, and for a client token those of its
 * own conversations, without control messages.
 */
export function visibleTo({ organizationId, confinedTo }: Viewer) {
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
    message: { organizationId, role: { not: 'CONTROL' }, conversation },
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
