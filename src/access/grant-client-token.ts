import type pg from 'pg';
import type { Confinement } from './caller.ts';
import type { PrismaClient } from '../db.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { decodeId } from '../ids.ts';
import { mintClientToken } from './client-tokens.ts';
import { finders, theOne } from './finders.ts';
import type { Viewer } from './viewer.ts';

/** The longest lifetime of a client token, in seconds. */
export const MAX_TOKEN_SECONDS = 86_400;

export interface ClientTokenInput {
  for: ClientTokenSubject;
  expiresInSeconds: number;
}

/** Exactly one field is given. */
interface ClientTokenSubject {
  contactId?: string | null | undefined;
  conversationId?: string | null | undefined;
}

/** Issues a token for a person or a conversation of the viewer's organization. It expires with the viewer's own credential. */
export async function grantClientToken(
  services: { pool: pg.Pool; prisma: PrismaClient },
  viewer: Viewer,
  input: ClientTokenInput,
): Promise<{ token: string; expiresAt: Date }> {
  const { expiresInSeconds } = input;
  if (expiresInSeconds < 1 || expiresInSeconds > MAX_TOKEN_SECONDS) {
    const detail = `Must be from 1 to ${MAX_TOKEN_SECONDS}.`;
    throw new InvalidInputError([{ path: ['expiresInSeconds'], code: 'OUT_OF_RANGE', detail }]);
  }
  const confinedTo = await confinementOf(services, viewer, input.for);
  const wanted = Date.now() + expiresInSeconds * 1000;
  // Tokens hold times in whole seconds.
  const expiresAt = new Date(Math.floor(Math.min(wanted, viewer.expiresAt?.getTime() ?? wanted) / 1000) * 1000);
  const { organizationId, keyId } = viewer;
  return { token: await mintClientToken(services.pool, { organizationId, keyId, confinedTo, expiresAt }), expiresAt };
}

async function confinementOf(
  services: { prisma: PrismaClient },
  viewer: Viewer,
  { contactId, conversationId }: ClientTokenSubject,
): Promise<Confinement> {
  if (contactId != null) {
    const id = decodeId('Contact', contactId);
    const contact = id && (await theOne(finders.Contact({ services, viewer }, [id])));
    if (!contact) throw new NotFoundError(['for', 'contactId']);
    return { contactId: contact.id };
  }
  const id = decodeId('Conversation', conversationId ?? '');
  const conversation = id && (await theOne(finders.Conversation({ services, viewer }, [id])));
  if (!conversation) throw new NotFoundError(['for', 'conversationId']);
  return { conversationId: conversation.id };
}
