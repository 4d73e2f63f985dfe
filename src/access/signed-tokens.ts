import { randomBytes } from 'node:crypto';
import { decodeJwt, errors, jwtVerify, SignJWT } from 'jose';
import type { z } from 'zod';
import type { Queryable } from '../db.ts';
import type { OperatorHolder } from './caller.ts';

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
