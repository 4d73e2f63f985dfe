import { finders, theOne } from '../../access/finders.ts';
import { mintOperatorToken } from '../../access/operator-tokens.ts';
import { MOST_ISSUERS } from '../../access/signed-tokens.ts';
import type { Viewer } from '../../access/viewer.ts';
import type { PrismaClient } from '../../db.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { OperatorSuspendedError } from '../failures.ts';
import type { OperatorServices } from '../model.ts';

/** The longest lifetime of an operator's token, in seconds. */
export const MAX_TOKEN_SECONDS = 86_400;

/**
 * Issues a token for an operator of the viewer's organization. It expires with the viewer's own credential, and ends with the API
 * key or the operator that issued it. Operators who issue tokens to each other make a chain of at most 20.
 */
export async function createOperatorToken(
  services: OperatorServices & { prisma: PrismaClient },
  viewer: Viewer,
  { operatorId: publicId, expiresInSeconds }: { operatorId: string; expiresInSeconds: number },
): Promise<{ token: string; expiresAt: Date; operatorId: string }> {
  if (expiresInSeconds < 1 || expiresInSeconds > MAX_TOKEN_SECONDS) {
    const detail = `Must be from 1 to ${MAX_TOKEN_SECONDS}.`;
    throw new InvalidInputError([{ path: ['expiresInSeconds'], code: 'OUT_OF_RANGE', detail }]);
  }
  // Room for whoever issues tokens with this one.
  if (viewer.endsWith.length >= MOST_ISSUERS) {
    const detail = `Your credential was issued through ${MOST_ISSUERS} operators already. Use one that was not.`;
    throw new InvalidInputError([{ path: ['operatorId'], code: 'OUT_OF_RANGE', detail }]);
  }
  const id = decodeId('Operator', publicId);
  const operator = id && (await theOne(finders.Operator({ services, viewer }, [id])));
  if (!operator) throw new NotFoundError(['operatorId']);
  if (operator.suspendedAt) throw new OperatorSuspendedError(operator.id);
  const wanted = Date.now() + expiresInSeconds * 1000;
  // Tokens hold times in whole seconds.
  const expiresAt = new Date(Math.floor(Math.min(wanted, viewer.expiresAt?.getTime() ?? wanted) / 1000) * 1000);
  const token = await mintOperatorToken(services.pool, {
    organizationId: viewer.organizationId,
    holder: { operatorId: operator.id, operatorGeneration: operator.tokenGeneration },
    keyId: viewer.keyId,
    issuers: viewer.endsWith,
    expiresAt,
  });
  return { token, expiresAt, operatorId: operator.id };
}
