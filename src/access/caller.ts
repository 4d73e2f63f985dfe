/** Who can write a message, or do something. */
export const authorKinds = ['END_USER', 'AI_AGENT', 'HUMAN_AGENT', 'SYSTEM'] as const;

/** Who wrote a message, or did something, as known at that time. */
export interface Author {
  kind: (typeof authorKinds)[number];
  displayName?: string | null;
  avatarUrl?: string | null;
  externalId?: string | null;
  contactId?: string | null;
  agentId?: string | null;
}

/** All conversations of one person, or one conversation. */
export type Confinement = { contactId: string } | { conversationId: string };

/** Who gives a command, and for which organization. */
export interface Caller {
  organizationId: string;
  /** What an end user is confined to; null for operators. */
  confinedTo: Confinement | null;
  /** Owns the idempotency keys. */
  id: string;
  /** As the log names it. */
  actor: Author;
  /** The API key that it is, or that minted it; null for a page that this server signed in by itself. */
  keyId: string | null;
  /** From when on its credential is no longer good; null when it does not expire. */
  expiresAt: Date | null;
}
