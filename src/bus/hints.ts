/**
 * What servers tell each other. Rows are the truth and a hint only saves waiting: it may be lost, repeated or reordered,
 * and whoever acts on one must end with the same result without it.
 */
export type Hint = ConversationHint | RevocationHint;

export type ConversationHint =
  /** The conversation's log has reached at least `version`; `settled` names the reply that this change ended. */
  | { kind: 'log'; conversationId: string; version: number; settled?: string }
  /** Fragment rows of a running reply were committed: one began, or one is complete. */
  | { kind: 'fragments'; conversationId: string; messageId: string }
  /** Text of a running reply, before it is stored. `offset` counts UTF-16 code units of the fragment. */
  | { kind: 'text'; conversationId: string; messageId: string; fragment: number; offset: number; text: string };

/** An API key was revoked, and with it the client tokens that it minted. */
export interface RevocationHint {
  kind: 'revoked';
  keyId: string;
}

/** Who follows the hints. Neither function may throw or block. */
export interface HintListener {
  onHint(hint: Hint): void;
  /** The bus was cut and is back: hints may have been lost meanwhile. */
  onReconnect(): void;
}

/** Carries hints between servers. A server's own listeners get its hints at once, without a round trip. */
export interface Bus {
  /** Resolves when hints of other servers arrive. Rejects when the bus cannot be reached at all. */
  connect(): Promise<void>;
  /** Never throws, never waits; sending is batched. */
  publish(hint: Hint): void;
  /** Returns the function that ends the subscription. */
  subscribe(listener: HintListener): () => void;
  /** Whether hints of other servers can arrive just now. */
  isConnected(): boolean;
  /** Sends what waits, then disconnects. */
  close(): Promise<void>;
}
