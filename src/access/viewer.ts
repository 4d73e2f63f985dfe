import type { Caller } from '../conversations/services.ts';

/** What a credential may do. */
export const scopes = ['read', 'write'] as const;
export type Scope = (typeof scopes)[number];

/** Who is asking, and for which organization. */
export interface Viewer extends Caller {
  kind: 'API_KEY';
  scopes: readonly Scope[];
}
