import type { Author, Caller } from './caller.ts';

/** Somebody who can be there, read and type: a human, not a program. */
export interface Person {
  /** The same for all credentials of one person. */
  id: string;
  author: Author & { kind: 'END_USER' | 'HUMAN_AGENT' };
}

/** How read marks name the contact of a conversation. */
export const CONTACT = 'contact';

/** Whose read mark a credential moves. Null for an API key, which has none. */
export function readerOf({ confinedTo, operatorId }: Pick<Caller, 'confinedTo' | 'operatorId'>): string | null {
  if (operatorId !== null) return `operator:${operatorId}`;
  return confinedTo ? CONTACT : null;
}

/** The person that a credential is for. Null for an API key, which is a program's. */
export function personOf({
  id,
  confinedTo,
  operatorId,
  actor,
}: Pick<Caller, 'id' | 'confinedTo' | 'operatorId' | 'actor'>): Person | null {
  if (operatorId !== null) return { id: `operator:${operatorId}`, author: { ...actor, kind: 'HUMAN_AGENT' } };
  return confinedTo ? { id, author: { ...actor, kind: 'END_USER' } } : null;
}
