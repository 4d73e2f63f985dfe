import type { Caller } from './caller.ts';

/** What an API key may allow: to read everything in its organization, to change it, and to manage its API keys. */
export const keyScopes = ['read', 'write', 'admin'] as const;

export type KeyScope = (typeof keyScopes)[number];

/** What a client token may do beside reading, sending and stopping: what it was granted when it was issued. */
export const clientGrants = ['startConversation', 'askForHuman', 'regenerate', 'rate', 'upload', 'end'] as const;

export type ClientGrant = (typeof clientGrants)[number];

/**
 * What a credential may do. A client token takes part in conversations, and does what it is granted. An operator answers: takes
 * conversations over and writes in them. Who starts a visit needs none, and may do nothing else.
 */
export type Scope = KeyScope | 'answer' | 'participate' | ClientGrant | 'visit';

/** Who is asking, and for which organization. */
export interface Viewer extends Caller {
  kind: 'API_KEY' | 'CLIENT_TOKEN' | 'OPERATOR' | 'STRANGER';
  scopes: readonly Scope[];
}

export function isKeyScope(scope: string): scope is KeyScope {
  return keyScopes.some((known) => known === scope);
}

export function isClientGrant(scope: string): scope is ClientGrant {
  return clientGrants.some((known) => known === scope);
}

/** A row id that no row has. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** Who starts a visit from this network, without a credential. They see nothing but the visit. */
export function strangerFrom(network: string): Viewer {
  return {
    kind: 'STRANGER',
    id: `network:${network}`,
    organizationId: NOBODY,
    actor: { kind: 'END_USER' },
    scopes: ['visit'],
    keyId: null,
    expiresAt: null,
    confinedTo: { contactId: NOBODY },
    contactId: null,
    network,
    tokenGeneration: 0,
    operatorId: null,
    endsWith: [],
  };
}
