import type { Author, Caller } from './caller.ts';

/** Somebody who can be there, read and type: a human, not a program. */
export interface Person {
  /** The same for all credentials of one person. */
  id: string;
  author: Author & { kind: 'END_USER' | 'HUMAN_AGENT' };
}

/** How read marks name the contact of a conversation. */
export const CONTACT = 'contact';

/** Whose read mark a credential moves. Null for an API key, which has none. That of an operator belongs here too. */
export function readerOf({ confinedTo }: Pick<Caller, 'confinedTo'>): string | null {
  return confinedTo ? CONTACT : null;
}

/** The person that a credential is for. Null for an API key, which is a program's. An operator's own credential belongs here too. */
export function personOf({ id, confinedTo, actor }: Pick<Caller, 'id' | 'confinedTo' | 'actor'>): Person | null {
  return confinedTo ? { id, author: { ...actor, kind: 'END_USER' } } : null;
}
