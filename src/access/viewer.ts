import type { Caller } from './caller.ts';

/** What an API key may allow: to read everything in its organization, to change it, and to manage its API keys. */
export const keyScopes = ['read', 'write', 'admin'] as const;

export type KeyScope = (typeof keyScopes)[number];

/** What a credential may do. A client token may only take part in conversations. */
export type Scope = KeyScope | 'participate';

/** Who is asking, and for which organization. */
export interface Viewer extends Caller {
  kind: 'API_KEY' | 'CLIENT_TOKEN';
  scopes: readonly Scope[];
}

export function isKeyScope(scope: string): scope is KeyScope {
  return keyScopes.some((known) => known === scope);
}
