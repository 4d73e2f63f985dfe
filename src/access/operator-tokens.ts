import { z } from 'zod';
import type { Queryable } from '../db.ts';
import type { OperatorRole } from '../generated/prisma/enums.ts';
import type { Author, OperatorHolder } from './caller.ts';
import { by, endedOf, isSigned, issuersClaim, issuersOf, readClaims, signToken } from './signed-tokens.ts';
import { keyScopes, type Scope, type Viewer } from './viewer.ts';

const ISSUER = 'parley/operators';

const claimsSchema = z.object({
  iss: z.literal(ISSUER),
  org: z.uuid(),
  operator: z.uuid(),
  /** The generation of the operator's credentials. */
  gen: z.int32(),
  /** The API key that issued the token. Left out if none did. */
  key: z.uuid().optional(),
  /** Those who issued it. */
  by: issuersClaim,
  exp: z.number(),
});

/** What an operator may do by role: an AGENT reads and answers, an ADMIN may also do everything that an API key can. */
const scopesOf: Record<OperatorRole, readonly Scope[]> = {
  AGENT: ['read', 'answer'],
  ADMIN: [...keyScopes, 'answer'],
};

/** Issues a token that is valid until `expiresAt`. The caller has found the operator in their organization. */
export function mintOperatorToken(
  db: Queryable,
  token: {
    organizationId: string;
    holder: OperatorHolder;
    keyId: string | null;
    /** The operators who issue it. */
    issuers: readonly OperatorHolder[];
    expiresAt: Date;
  },
): Promise<string> {
  const { organizationId, holder, keyId, issuers, expiresAt } = token;
  const claims = {
    org: organizationId,
    operator: holder.operatorId,
    gen: holder.operatorGeneration,
    ...(keyId !== null && { key: keyId }),
    ...by(issuers),
  };
  return signToken(db, { issuer: ISSUER, organizationId, claims, expiresAt });
}

/** Whether a credential claims to be an operator's token. */
export function isOperatorToken(credential: string): boolean {
  return readClaims(credential, claimsSchema) !== undefined;
}

interface OperatorRow {
  secret: string | null;
  keyGone: boolean;
  issuerGone: boolean;
  name: string;
  avatarUrl: string | null;
  role: OperatorRole;
}

/**
 * The viewer of an operator's token, even after it has expired. Null if it is invalid, its key or whoever issued it is gone, or
 * the operator is suspended or has had their credentials ended.
 */
export async function findViewerByOperatorToken(db: Queryable, token: string): Promise<Viewer | null> {
  const claims = readClaims(token, claimsSchema);
  if (!claims) return null;
  const issuers = issuersOf(claims.by);
  const { rows } = await db.query<OperatorRow>({
    name: 'find-operator-token',
    text: `SELECT o.token_secret AS secret, $2::uuid IS NOT NULL AND k.id IS NULL AS "keyGone",
        ${endedOf('$5', '$6')} AS "issuerGone", p.name, p.avatar_url AS "avatarUrl", p.role
      FROM organization o
      JOIN operator p ON p.id = $3 AND p.organization_id = o.id AND p.token_generation = $4 AND p.suspended_at IS NULL
      LEFT JOIN api_key k ON k.id = $2 AND k.organization_id = o.id AND k.revoked_at IS NULL
      WHERE o.id = $1`,
    values: [
      claims.org,
      claims.key ?? null,
      claims.operator,
      claims.gen,
      issuers.map(({ operatorId }) => operatorId),
      issuers.map(({ operatorGeneration }) => operatorGeneration),
    ],
  });
  const row = rows[0];
  if (!row?.secret || row.keyGone || row.issuerGone || !(await isSigned(token, row.secret, ISSUER))) return null;
  const holder = { operatorId: claims.operator, operatorGeneration: claims.gen };
  return {
    ...operatorViewer({ organizationId: claims.org, holder, ...row }),
    keyId: claims.key ?? null,
    expiresAt: new Date(claims.exp * 1000),
    endsWith: [holder, ...issuers],
  };
}

/** The viewer for an operator who has signed in. Null if they are suspended or gone. */
export async function findOperatorViewer(db: Queryable, operatorId: string): Promise<Viewer | null> {
  const { rows } = await db.query<Omit<OperatorRow, 'secret'> & { organizationId: string; operatorGeneration: number }>(
    {
      name: 'find-operator',
      text: `SELECT organization_id AS "organizationId", token_generation AS "operatorGeneration", name,
        avatar_url AS "avatarUrl", role
      FROM operator WHERE id = $1 AND suspended_at IS NULL`,
      values: [operatorId],
    },
  );
  const [row] = rows;
  if (!row) return null;
  return operatorViewer({ ...row, holder: { operatorId, operatorGeneration: row.operatorGeneration } });
}

/** The viewer for an operator. It does not expire. */
function operatorViewer(operator: {
  organizationId: string;
  holder: OperatorHolder;
  name: string;
  avatarUrl: string | null;
  role: OperatorRole;
}): Viewer {
  const { organizationId, holder, role } = operator;
  const { operatorId } = holder;
  return {
    kind: 'OPERATOR',
    id: `operator:${operatorId}`,
    organizationId,
    actor: authorOfOperator({ ...operator, id: operatorId }),
    scopes: scopesOf[role],
    keyId: null,
    expiresAt: null,
    confinedTo: null,
    contactId: null,
    tokenGeneration: 0,
    operatorId,
    endsWith: [holder],
  };
}

/** An operator as the author of what they write. */
export function authorOfOperator(operator: { id: string; name: string; avatarUrl: string | null }): Author {
  const { id: operatorId, name: displayName, avatarUrl } = operator;
  return { kind: 'HUMAN_AGENT', operatorId, displayName, avatarUrl };
}

/** Those of these operators whose credentials were ended: they are suspended, have another role, have signed out or are gone. */
export async function findEndedOperators(
  db: Queryable,
  operators: readonly OperatorHolder[],
): Promise<OperatorHolder[]> {
  const { rows } = await db.query<OperatorHolder>({
    name: 'find-ended-operators',
    text: `SELECT asked.id AS "operatorId", asked.generation AS "operatorGeneration"
      FROM unnest($1::uuid[], $2::int[]) AS asked(id, generation)
      LEFT JOIN operator ON operator.id = asked.id AND operator.suspended_at IS NULL
      WHERE operator.token_generation IS DISTINCT FROM asked.generation`,
    values: [operators.map(({ operatorId }) => operatorId), operators.map((each) => each.operatorGeneration)],
  });
  return rows;
}
