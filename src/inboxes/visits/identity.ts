import { errors, jwtVerify } from 'jose';
import { z } from 'zod';
import { type ContactPatch, readContact } from '../../contacts/model.ts';
import { ValueReader } from '../../value-reader.ts';
import { VisitRefusedError } from '../failures.ts';

/** The longest identity, in bytes. */
export const MAX_IDENTITY = 8192;
/** How long an identity may live, in seconds. */
export const IDENTITY_SECONDS = 3600;
/** How far the clock of the page's server may be ahead, in seconds. */
const AHEAD_SECONDS = 60;

const claimsSchema = z.object({
  sub: z.string(),
  name: z.string().nullish(),
  email: z.string().nullish(),
  exp: z.number(),
  iat: z.number().optional(),
});

/** Who a person is, as the page's own server says. `externalId` is there. */
export type Identity = ContactPatch & { externalId: string };

/**
 * Reads an identity: a JWT that the page's own server has signed with the inbox's secret, for this inbox alone. Throws
 * `VisitRefusedError`, and `InvalidInputError` for what it says of the person.
 */
export async function readIdentity(
  token: string,
  { publicKey, secret }: { publicKey: string; secret: string | null },
): Promise<Identity> {
  if (secret === null) throw new VisitRefusedError('IDENTITY_INVALID', 'This inbox has no identity secret.');
  const { sub, name, email, exp, iat } = await verifiedClaims(token, { publicKey, secret });
  const now = Date.now() / 1000;
  if (exp - Math.min(iat ?? now, now) > IDENTITY_SECONDS + AHEAD_SECONDS) {
    throw new VisitRefusedError('IDENTITY_INVALID', `An identity may live at most ${IDENTITY_SECONDS} s.`);
  }
  const reader = new ValueReader();
  const said = { externalId: sub, ...(name != null && { displayName: name }), ...(email != null && { email }) };
  const patch = readContact(reader, ['identity'], said);
  reader.finish();
  return { ...patch, externalId: sub };
}

async function verifiedClaims(token: string, { publicKey, secret }: { publicKey: string; secret: string }) {
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), {
      algorithms: ['HS256'],
      audience: publicKey,
      requiredClaims: ['sub', 'exp'],
    });
    const { data } = claimsSchema.safeParse(payload);
    if (data) return data;
  } catch (error) {
    if (error instanceof errors.JWTExpired)
      throw new VisitRefusedError('IDENTITY_EXPIRED', 'The identity has expired.');
    if (error instanceof errors.JWTClaimValidationFailed)
      throw invalid(`its claim \`${error.claim}\` is missing or wrong`);
    if (error instanceof errors.JOSEError) throw invalid('it is not signed with the identity secret of this inbox');
    throw error;
  }
  throw invalid('its claims do not have the required types');
}

function invalid(why: string): VisitRefusedError {
  return new VisitRefusedError('IDENTITY_INVALID', `The identity cannot be used: ${why}.`);
}
