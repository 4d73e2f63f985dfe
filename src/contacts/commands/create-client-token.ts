import type { Confinement, Participant } from '../../access/caller.ts';
import { mintClientToken } from '../../access/client-tokens.ts';
import { finders, theOne } from '../../access/finders.ts';
import type { ClientGrant, Viewer } from '../../access/viewer.ts';
import type { PrismaClient } from '../../db.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import type { Contact } from '../../generated/prisma/client.ts';
import { decodeId } from '../../ids.ts';
import { ValueReader } from '../../value-reader.ts';
import { ContactBlockedError } from '../failures.ts';
import type { ContactIdentity, ContactServices } from '../model.ts';
import { upsertContact } from './upsert.ts';

/** The longest lifetime of a client token, in seconds. */
export const MAX_TOKEN_SECONDS = 86_400;

export interface ClientTokenInput {
  for: ClientTokenSubject;
  grants: readonly ClientGrant[];
  displayName?: string | null | undefined;
  expiresInSeconds: number;
}

/** Exactly one field is given. */
interface ClientTokenSubject {
  contactId?: string | null | undefined;
  contact?: ContactIdentity | null | undefined;
  conversationId?: string | null | undefined;
}

type Services = ContactServices & { prisma: PrismaClient };

/** Issues a token for a person or a conversation of the viewer's organization. It expires with the viewer's own credential. */
export async function createClientToken(
  services: Services,
  viewer: Viewer,
  input: ClientTokenInput,
): Promise<{ token: string; expiresAt: Date }> {
  const { expiresInSeconds } = input;
  if (expiresInSeconds < 1 || expiresInSeconds > MAX_TOKEN_SECONDS) {
    const detail = `Must be from 1 to ${MAX_TOKEN_SECONDS}.`;
    throw new InvalidInputError([{ path: ['expiresInSeconds'], code: 'OUT_OF_RANGE', detail }]);
  }
  const displayName = readHolder(input);
  const grants = [...new Set(input.grants)];
  const { confinedTo, contact } = await subjectOf(services, viewer, input.for);
  if (contact?.blockedAt) throw new ContactBlockedError(contact.id);
  const wanted = Date.now() + expiresInSeconds * 1000;
  // Tokens hold times in whole seconds.
  const expiresAt = new Date(Math.floor(Math.min(wanted, viewer.expiresAt?.getTime() ?? wanted) / 1000) * 1000);
  const { organizationId, keyId, endsWith } = viewer;
  const participant: Participant = {
    contactId: contact?.id ?? null,
    tokenGeneration: contact?.tokenGeneration ?? 0,
  };
  const token = await mintClientToken(services.pool, {
    organizationId,
    keyId,
    endsWith,
    confinedTo,
    participant,
    grants,
    displayName,
    expiresAt,
  });
  return { token, expiresAt };
}

/** The name to show. Throws `InvalidInputError` for what makes sense only for a person, or only for one conversation. */
function readHolder({ for: subject, grants, displayName }: ClientTokenInput): string | null {
  const reader = new ValueReader();
  const isPerson = subject.conversationId == null;
  const name = reader.text(['displayName'], displayName, 200) ?? null;
  if (isPerson && name !== null) reader.refuse(['displayName'], "A person's name is the contact's.");
  if (!isPerson && grants.includes('startConversation')) {
    const detail = 'A token for one conversation cannot begin another.';
    reader.refuse(['grants', String(grants.indexOf('startConversation'))], detail);
  }
  reader.finish();
  return name;
}

/** What the token is confined to, with the person's row, in which their tokens may end at any time. */
async function subjectOf(
  services: Services,
  viewer: Viewer,
  subject: ClientTokenSubject,
): Promise<{ confinedTo: Confinement; contact: Contact | null }> {
  const contactOf = async (id: string | null) => id && (await theOne(finders.Contact({ services, viewer }, [id])));
  if (subject.conversationId != null) {
    const id = decodeId('Conversation', subject.conversationId);
    const conversation = id && (await theOne(finders.Conversation({ services, viewer }, [id])));
    if (!conversation) throw new NotFoundError(['for', 'conversationId']);
    return {
      confinedTo: { conversationId: conversation.id },
      contact: (await contactOf(conversation.contactId)) || null,
    };
  }
  const id = subject.contact
    ? (await upsertContact(services, viewer, subject.contact, ['for', 'contact'])).contactId
    : decodeId('Contact', subject.contactId ?? '');
  const contact = await contactOf(id);
  if (!contact) throw new NotFoundError(['for', subject.contact ? 'contact' : 'contactId']);
  return { confinedTo: { contactId: contact.id }, contact };
}
