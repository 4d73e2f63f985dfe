import { createHmac, randomBytes } from 'node:crypto';
import { decodeJwt, errors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { Queryable } from '../db.ts';
import type { OperatorHolder } from './caller.ts';

/** The most operators who may stand behind a token. */
export const MOST_ISSUERS = 20;

/** The operators who stand behind a token, with the generations of their credentials. Left out: none. */
export const issuersClaim = z
  .array(z.tuple([z.uuid(), z.int32()]))
  .max(MOST_ISSUERS)
  .optional();

/** Signs claims with the secret of an organization, which is made when it is first needed. */
export async function signToken(
  db: Queryable,
  token: { issuer: string; organizationId: string; claims: Record<string, unknown>; expiresAt: Date },
): Promise<string> {
  const secret = await secretOf(db, token.organizationId);
  return new SignJWT(token.claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(token.issuer)
    .setIssuedAt()
    .setExpirationTime(token.expiresAt)
    .sign(bytesOf(secret));
}

/** The claims of a token, not verified yet. Undefined if it is none, or has other claims. */
export function readClaims<Schema extends z.ZodType>(token: string, schema: Schema): z.output<Schema> | undefined {
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return undefined;
  try {
    return schema.safeParse(decodeJwt(token)).data;
  } catch {
    return undefined;
  }
}

/** Whether a token was signed with this secret, even if it has expired. */
export async function isSigned(token: string, secret: string, issuer: string): Promise<boolean> {
  try {
    await jwtVerify(token, bytesOf(secret), { issuer, algorithms: ['HS256'] });
    return true;
  } catch (error) {
    // Expiry is checked after the signature, so the token was signed by this system.
    if (error instanceof errors.JWTExpired) return true;
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}

/** The operators who stand behind a token, each once, as a claim. */
export function by(endsWith: readonly OperatorHolder[]) {
  const claim = new Map(endsWith.map(({ operatorId, operatorGeneration }) => [operatorId, operatorGeneration]));
  return claim.size > 0 ? { by: [...claim] } : {};
}

export function issuersOf(claim: readonly (readonly [string, number])[] | undefined): OperatorHolder[] {
  return (claim ?? []).map(([operatorId, operatorGeneration]) => ({ operatorId, operatorGeneration }));
}

/** SQL for whether one of these operators of the organization `o` has had their credentials ended. Both are parameters, lists. */
export const endedOf = (ids: string, generations: string) => /* sql */ `EXISTS (
  SELECT FROM unnest(${ids}::uuid[], ${generations}::int[]) AS issuer(id, generation)
  LEFT JOIN operator ON operator.id = issuer.id AND operator.organization_id = o.id AND operator.suspended_at IS NULL
  WHERE operator.token_generation IS DISTINCT FROM issuer.generation)`;

function bytesOf(secret: string): Uint8Array {
  return new TextEncoder().encode(secret);
}

/** What somebody proves to be the setup token of an organization: the same on every server, and derived from its secret. */
export async function setupTokenOf(db: Queryable, organizationId: string): Promise<string> {
  return createHmac('sha256', await secretOf(db, organizationId))
    .update('parley setup token')
    .digest('base64url');
}

/** The claims of a token of an organization. Null if it was not signed by this system, has other claims, or has expired. */
export async function openToken<Schema extends z.ZodType>(
  db: Queryable,
  token: { organizationId: string; issuer: string; text: string },
  schema: Schema,
): Promise<z.output<Schema> | null> {
  try {
    const secret = bytesOf(await secretOf(db, token.organizationId));
    const { payload } = await jwtVerify(token.text, secret, { issuer: token.issuer, algorithms: ['HS256'] });
    return schema.safeParse(payload).data ?? null;
  } catch (error) {
    if (error instanceof errors.JOSEError) return null;
    throw error;
  }
}

/** The secret that signs the tokens of an organization. The row is written only for its first token. */
async function secretOf(db: Queryable, organizationId: string): Promise<string> {
  const ask = async (text: string, ...values: string[]) =>
    (await db.query<{ secret: string | null }>({ text, values: [organizationId, ...values] })).rows[0]?.secret;
  const secret =
    (await ask('SELECT token_secret AS secret FROM organization WHERE id = $1')) ??
    (await ask(
      'UPDATE organization SET token_secret = coalesce(token_secret, $2) WHERE id = $1 RETURNING token_secret AS secret',
      randomBytes(32).toString('base64url'),
    ));
  if (secret == null) throw new Error('the organization of a viewer is gone');
  return secret;
}
