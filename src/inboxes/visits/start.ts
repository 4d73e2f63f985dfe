import type { Author } from '../../access/caller.ts';
import { mintClientToken } from '../../access/client-tokens.ts';
import { clientGrants } from '../../access/viewer.ts';
import { hashCredential } from '../../access/api-keys.ts';
import { merge } from '../../contacts/commands/merge.ts';
import { writeContact } from '../../contacts/commands/upsert.ts';
import type { ContactServices } from '../../contacts/model.ts';
import type { Queryable } from '../../db.ts';
import { NotFoundError, UnavailableError, UserError } from '../../errors.ts';
import type { Contact } from '../../generated/prisma/client.ts';
import { ValueReader } from '../../value-reader.ts';
import { VisitRefusedError } from '../failures.ts';
import { type Identity, MAX_IDENTITY, readIdentity } from './identity.ts';
import { addVisitor, findVisitor, newVisitorSecret, seePerson, takeVisitor } from './visitors.ts';

/** How long the token of a visit is valid, in seconds. */
export const VISIT_SECONDS = 3600;

export interface StartVisitInput {
  inboxKey: string;
  identity?: string | null | undefined;
  visitorSecret?: string | null | undefined;
}

/** A visit that may start. */
export interface Visit {
  inbox: { id: string; organizationId: string };
  /** Null: nobody says who it is. */
  identity: Identity | null;
  /** The hash of the secret that the browser came with. */
  visitorHash: string | null;
}

/** What a visitor gets. */
export interface StartedVisit {
  inboxId: string;
  contact: Contact;
  token: string;
  expiresAt: Date;
  /** Null for whom the page's server has named: they come back with another identity. */
  visitorSecret: string | null;
}

interface WebChat {
  id: string;
  organizationId: string;
  publicKey: string;
  secret: string | null;
  allowedOrigins: string[];
  allowsAnonymous: boolean;
}

/**
 * Reads what a page asks for, from its origin if it has one. Nothing is written. Throws `NotFoundError` for an unknown inbox,
 * `VisitRefusedError`, and `InvalidInputError`.
 */
export async function readVisit(db: Queryable, input: StartVisitInput, origin: string | null): Promise<Visit> {
  const inbox = await findWebChat(db, input.inboxKey);
  if (!inbox) throw new NotFoundError(['inboxKey']);
  const { allowedOrigins } = inbox;
  if (origin !== null && allowedOrigins.length > 0 && !allowedOrigins.includes(origin)) {
    throw new VisitRefusedError('ORIGIN_NOT_ALLOWED', 'The inbox does not list the origin of this page.');
  }
  const reader = new ValueReader();
  const token = reader.text(['identity'], input.identity, MAX_IDENTITY);
  const secret = reader.text(['visitorSecret'], input.visitorSecret, 200);
  reader.finish();
  const identity = token === undefined ? null : await readIdentity(token, inbox);
  if (!identity && !inbox.allowsAnonymous) {
    throw new VisitRefusedError('IDENTITY_REQUIRED', 'Who uses this inbox must be named by an `identity`.');
  }
  return { inbox, identity, visitorHash: secret === undefined ? null : hashCredential(secret) };
}

/**
 * Starts a visit that may, from this network, which limits what its anonymous visitors do together. Throws `VisitRefusedError` for
 * somebody who is blocked.
 */
export async function startVisit(
  services: ContactServices,
  visit: Visit,
  network: string | undefined,
): Promise<StartedVisit> {
  const { identity } = visit;
  const { contact, visitorSecret } = identity
    ? { contact: await arrive(services, visit, identity), visitorSecret: null }
    : await arriveUnnamed(services, visit, network);
  const { id: inboxId, organizationId } = visit.inbox;
  // Tokens hold times in whole seconds.
  const expiresAt = new Date((Math.floor(Date.now() / 1000) + VISIT_SECONDS) * 1000);
  const token = await mintClientToken(services.pool, {
    organizationId,
    keyId: null,
    endsWith: [],
    confinedTo: { contactId: contact.id },
    participant: { contactId: contact.id, tokenGeneration: contact.tokenGeneration },
    // Who names nobody can come as somebody else again and again, and would fill the storage.
    grants: identity ? clientGrants : clientGrants.filter((grant) => grant !== 'upload'),
    displayName: null,
    inboxId,
    network: identity ? undefined : network,
    expiresAt,
  });
  return { inboxId, contact, token, expiresAt, visitorSecret };
}

/** The person whom the page's server names. Who this browser was before becomes them, and its secret is worth nothing any more. */
async function arrive(services: ContactServices, visit: Visit, identity: Identity): Promise<Contact> {
  const { pool, newId } = services;
  const { organizationId } = visit.inbox;
  const { contactId } = await writeContact(pool, { id: newId(), organizationId, patch: identity, path: ['identity'] });
  const contact = await seePerson(pool, contactId);
  if (!contact) throw new UnavailableError('The person was deleted just now. Nothing was done. Try again.', 1);
  if (contact.blockedAt) throw blocked();
  const hash = visit.visitorHash;
  const visitor = hash === null ? null : await findVisitor(pool, { organizationId, hash });
  if (hash === null || visitor === null) return contact;
  const { externalId, displayName, avatarUrl } = contact;
  const actor: Author = { kind: 'END_USER', contactId, externalId, displayName, avatarUrl };
  try {
    await merge(services, { organizationId, actor, from: visitor, into: contactId, visitorHash: hash });
  } catch (error) {
    // Somebody else was faster: the secret was used, or the visitor is known or gone.
    if (!(error instanceof UserError)) throw error;
  }
  return contact;
}

/** The visitor whom this browser was before, or a new one. */
async function arriveUnnamed(
  { pool, newId }: ContactServices,
  { inbox: { organizationId }, visitorHash: hash }: Visit,
  network: string | undefined,
): Promise<{ contact: Contact; visitorSecret: string }> {
  const next = newVisitorSecret();
  const known = hash === null ? null : await takeVisitor(pool, { organizationId, hash, next: next.hash, network });
  if (known?.blockedAt) throw blocked();
  const contact = known ?? (await addVisitor(pool, { id: newId(), organizationId, hash: next.hash, network }));
  return { contact, visitorSecret: next.secret };
}

async function findWebChat(db: Queryable, publicKey: string): Promise<WebChat | null> {
  if (!/^web_[\w-]{1,100}$/.test(publicKey)) return null;
  const { rows } = await db.query<WebChat>({
    name: 'find-web-chat',
    text: `SELECT id, organization_id AS "organizationId", public_key AS "publicKey", secret, allowed_origins AS "allowedOrigins",
        allows_anonymous AS "allowsAnonymous"
      FROM inbox WHERE public_key = $1`,
    values: [publicKey],
  });
  return rows[0] ?? null;
}

function blocked(): VisitRefusedError {
  return new VisitRefusedError('BLOCKED', 'You may not write here.');
}
