import type { Confinement, OperatorHolder, Participant } from './caller.ts';
import { z } from 'zod';
import type { Queryable } from '../db.ts';
import { by, endedOf, isSigned, issuersClaim, issuersOf, readClaims, signToken } from './signed-tokens.ts';
import { type ClientGrant, isClientGrant, type Viewer } from './viewer.ts';

const ISSUER = 'parley';

const claimsSchema = z.object({
  iss: z.literal(ISSUER),
  org: z.uuid(),
  /** The API key that issued the token. Left out if a page that this server signed in issued it. */
  key: z.uuid().optional(),
  contact: z.uuid().optional(),
  conversation: z.uuid().optional(),
  /** The contact of the conversation when the token was issued. Left out if it had none, and in tokens of earlier releases. */
  person: z.uuid().optional(),
  /** The web chat of a visit. */
  inbox: z.uuid().optional(),
  /** The network from which an anonymous visitor started the visit. */
  net: z.string().optional(),
  /** The generation of the person's tokens. Left out: 0. */
  gen: z.int32().optional(),
  /** Left out: to end conversations, and nothing else. */
  grants: z.array(z.string()).optional(),
  /** The name of whoever takes part in the one conversation. */
  name: z.string().optional(),
  by: issuersClaim,
  exp: z.number(),
});

/** Issues a token that is valid until `expiresAt`. The caller has checked what the token is confined to. */
export async function mintClientToken(
  db: Queryable,
  {
    organizationId,
    keyId,
    endsWith,
    confinedTo,
    participant,
    grants,
    displayName,
    inboxId,
    network,
    expiresAt,
  }: {
    organizationId: string;
    keyId: string | null;
    /** The operators who stand behind it. */
    endsWith: readonly OperatorHolder[];
    confinedTo: Confinement;
    participant: Participant;
    grants: readonly ClientGrant[];
    /** Null: the contact's. */
    displayName: string | null;
    inboxId?: string;
    /** Of an anonymous visitor, as `networkOf` gives it. */
    network?: string | undefined;
    expiresAt: Date;
  },
): Promise<string> {
  const { contactId, tokenGeneration: gen } = participant;
  const confined =
    'contactId' in confinedTo
      ? { contact: confinedTo.contactId }
      : { conversation: confinedTo.conversationId, ...(contactId !== null && { person: contactId }) };
  const holder = {
    ...(keyId !== null && { key: keyId }),
    ...(displayName !== null && { name: displayName }),
    ...(inboxId !== undefined && { inbox: inboxId }),
    ...(network !== undefined && { net: network }),
    ...by(endsWith),
  };
  const claims = { org: organizationId, ...holder, ...confined, gen, grants };
  return signToken(db, { issuer: ISSUER, organizationId, claims, expiresAt });
}

/** A person, and which generation of their tokens. */
export interface TokenHolder {
  contactId: string;
  tokenGeneration: number;
}

interface TokenRow {
  secret: string | null;
  keyGone: boolean;
  inboxGone: boolean;
  issuerGone: boolean;
  contactId: string | null;
  tokenGeneration: number | null;
  externalId: string | null;
  displayName: string | null;
  avatarUrl: string | null;
  conversationId: string | null;
}

/** Whether a credential claims to be a client token of this system. An API key may look like a token of another system. */
export function isClientToken(credential: string): boolean {
  return claimsOf(credential) !== undefined;
}

/** The viewer of a client token, even after it has expired. Null if it is invalid, or its key, person, conversation or inbox is gone. */
export async function findViewerByToken(db: Queryable, token: string): Promise<Viewer | null> {
  const claims = claimsOf(token);
  if (!claims) return null;
  const endsWith = issuersOf(claims.by);
  const { rows } = await db.query<TokenRow>({
    name: 'find-client-token',
    text: `SELECT o.token_secret AS secret, $2::uuid IS NOT NULL AND k.id IS NULL AS "keyGone",
        $5::uuid IS NOT NULL AND i.id IS NULL AS "inboxGone", c.id AS "conversationId",
        ${endedOf('$6', '$7')} AS "issuerGone",
        p.id AS "contactId", p.token_generation AS "tokenGeneration", p.external_id AS "externalId", p.display_name AS "displayName", p.avatar_url AS "avatarUrl"
      FROM organization o
      LEFT JOIN api_key k ON k.id = $2 AND k.organization_id = o.id AND k.revoked_at IS NULL
      LEFT JOIN inbox i ON i.id = $5 AND i.organization_id = o.id
      LEFT JOIN conversation c ON c.id = $4 AND c.organization_id = o.id
      LEFT JOIN contact p ON p.id = coalesce($3, c.contact_id) AND p.organization_id = o.id
      WHERE o.id = $1`,
    values: [
      claims.org,
      claims.key ?? null,
      claims.contact ?? null,
      claims.conversation ?? null,
      claims.inbox ?? null,
      endsWith.map(({ operatorId }) => operatorId),
      endsWith.map(({ operatorGeneration }) => operatorGeneration),
    ],
  });
  const row = rows[0];
  if (!row?.secret || row.keyGone || row.inboxGone || row.issuerGone) return null;
  if (!(await isSigned(token, row.secret, ISSUER))) return null;
  const { contactId, externalId, avatarUrl } = row;
  const { name: displayName = row.displayName, grants = ['end'] } = claims;
  const { gen: tokenGeneration = 0, person = contactId } = claims;
  if (person !== contactId || tokenGeneration !== (row.tokenGeneration ?? 0)) return null;
  const confinedTo = claims.contact === undefined ? conversationOf(row) : contactId !== null ? { contactId } : null;
  if (!confinedTo) return null;
  return {
    kind: 'CLIENT_TOKEN',
    id: 'contactId' in confinedTo ? `contact:${confinedTo.contactId}` : `conversation:${confinedTo.conversationId}`,
    organizationId: claims.org,
    actor: { kind: 'END_USER', contactId, externalId, displayName, avatarUrl },
    scopes: ['participate', ...grants.filter(isClientGrant)],
    keyId: claims.key ?? null,
    expiresAt: new Date(claims.exp * 1000),
    confinedTo,
    contactId,
    inboxId: claims.inbox,
    network: claims.net,
    tokenGeneration,
    operatorId: null,
    endsWith,
  };
}

function conversationOf({ conversationId }: TokenRow): Confinement | null {
  return conversationId === null ? null : { conversationId };
}

/** The claims of a token, not verified yet. */
function claimsOf(token: string) {
  return readClaims(token, claimsSchema);
}

/** Those of these people's tokens that were ended: the person is blocked, merged into another or gone. */
export async function findEndedTokens(db: Queryable, people: readonly TokenHolder[]): Promise<TokenHolder[]> {
  const { rows } = await db.query<TokenHolder>({
    name: 'find-ended-tokens',
    text: `SELECT asked.id AS "contactId", asked.generation AS "tokenGeneration"
      FROM unnest($1::uuid[], $2::int[]) AS asked(id, generation) LEFT JOIN contact ON contact.id = asked.id
      WHERE contact.token_generation IS DISTINCT FROM asked.generation`,
    values: [people.map(({ contactId }) => contactId), people.map(({ tokenGeneration }) => tokenGeneration)],
  });
  return rows;
}

/** Those of these web chats that were deleted, by their row ids. */
export async function findGoneInboxes(db: Queryable, ids: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({
    name: 'find-gone-inboxes',
    text: 'SELECT id FROM unnest($1::uuid[]) AS asked(id) WHERE NOT EXISTS (SELECT FROM inbox WHERE inbox.id = asked.id)',
    values: [ids],
  });
  return rows.map(({ id }) => id);
}
