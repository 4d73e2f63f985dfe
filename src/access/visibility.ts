import type { Prisma } from '../generated/prisma/client.ts';
import type { Viewer } from './viewer.ts';

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
