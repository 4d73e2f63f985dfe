import type { Author, Caller } from './caller.ts';

/** Somebody who can be there, read and type: a human, not a program. */
export interface Person {
  /** The same for all credentials of one person. */
  id: string;
  author: Author & { kind: 'END_USER' | 'HUMAN_AGENT' };
}

/** The person that a credential is for. Null for an API key, which is a program's. An operator's own credential belongs here too. */
export function personOf({ id, confinedTo, actor }: Pick<Caller, 'id' | 'confinedTo' | 'actor'>): Person | null {
  return confinedTo ? { id, author: { ...actor, kind: 'END_USER' } } : null;
}
