/** Kinds of authors and actors. */
export const authorKinds = ['END_USER', 'AI_AGENT', 'HUMAN_AGENT', 'SYSTEM'] as const;

/** Who wrote a message or did something, as known at the time. */
export interface Author {
  kind: (typeof authorKinds)[number];
  displayName?: string | null;
  avatarUrl?: string | null;
  externalId?: string | null;
  contactId?: string | null;
  agentId?: string | null;
  operatorId?: string | null;
}

/** An operator, and which generation of their credentials. */
export interface OperatorHolder {
  operatorId: string;
  operatorGeneration: number;
}

/** What a client token is confined to: all conversations of one person, or one conversation. */
export type Confinement = { contactId: string } | { conversationId: string };

/** Who gives a command, and for which organization. */
export interface Caller {
  organizationId: string;
  /** What an end user is confined to. Null for operators. */
  confinedTo: Confinement | null;
  /** The person a client token is for. Null if unknown. */
  contactId: string | null;
  /** The web chat that a client token of a visit is for. Undefined for all others. */
  inboxId?: string | undefined;
  /** The network from which an anonymous visitor, or whoever starts a visit, came. Undefined for all others. */
  network?: string | undefined;
  /** The generation of that person's tokens that this one belongs to. A later one ends it. */
  tokenGeneration: number;
  /** The operator who asks. Null for others. */
  operatorId: string | null;
  /**
   * The operators whose suspension ends the credential: who asks, and whoever issued it. Empty if only an API key stands behind
   * it.
   */
  endsWith: readonly OperatorHolder[];
  /** Owns the idempotency keys. */
  id: string;
  /** The caller as recorded in the event log. */
  actor: Author;
  /** The API key, or the one that issued the client token. Null for a page that this server signed in. */
  keyId: string | null;
  /** When the credential expires. Null if it does not. */
  expiresAt: Date | null;
}

/** Whose a conversation must be at the moment at which a client token changes it. */
export type Participant = Pick<Caller, 'contactId' | 'tokenGeneration'>;

/** Null for operators, who may change every conversation of their organization. */
export function participantOf({ confinedTo, contactId, tokenGeneration }: Caller): Participant | null {
  return confinedTo && { contactId, tokenGeneration };
}
