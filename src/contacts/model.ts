import type { Pool } from '../db.ts';
import type { Bus } from '../bus/hints.ts';
import { isEmailAddress } from '../email-address.ts';
import type { NewId } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import { valueLimits, type ValueReader } from '../value-reader.ts';

/** The services that the commands on contacts use. */
export interface ContactServices {
  pool: Pool;
  bus: Bus;
  newId: NewId;
}

/** What the metadata of a contact may take in all, in bytes of JSON as PostgreSQL writes it. */
export const MAX_METADATA = 128 * 1024;

/** What can be said of a person. A field left out stays unchanged; null clears it. */
export interface ContactInput {
  externalId?: string | null | undefined;
  displayName?: string | null | undefined;
  email?: string | null | undefined;
  avatarUrl?: URL | string | null | undefined;
  metadata?: unknown;
}

/** A person as their own system names them. */
export interface ContactIdentity extends ContactInput {
  externalId: string;
}

/** The given fields as read: those left out are not there. */
export interface ContactPatch {
  externalId?: string | null;
  displayName?: string | null;
  email?: string | null;
  avatarUrl?: string | null;
  /** A merge patch. */
  metadata?: JsonObject;
}

/** Reads what is said of a person. */
export function readContact(reader: ValueReader, path: string[], input: ContactInput): ContactPatch {
  const patch: ContactPatch = {};
  const { externalId, displayName, email, avatarUrl } = input;
  if (externalId !== undefined) {
    patch.externalId = reader.text([...path, 'externalId'], externalId) ?? null;
    if (patch.externalId?.trim() === '') reader.refuse([...path, 'externalId'], 'Must not be empty.', 'REQUIRED');
  }
  if (displayName !== undefined) patch.displayName = reader.text([...path, 'displayName'], displayName) ?? null;
  if (email !== undefined) {
    patch.email = reader.text([...path, 'email'], email, 254) ?? null;
    if (patch.email !== null && !isEmailAddress(patch.email)) {
      reader.refuse([...path, 'email'], 'Must be one email address.', 'MALFORMED');
    }
  }
  if (avatarUrl !== undefined) patch.avatarUrl = reader.url([...path, 'avatarUrl'], avatarUrl) ?? null;
  const metadata = reader.object([...path, 'metadata'], input.metadata, valueLimits.metadata);
  if (metadata) patch.metadata = metadata;
  return patch;
}

export const tooLargeMetadata = (path: string[]) => ({
  path: [...path, 'metadata'],
  code: 'TOO_LARGE' as const,
  detail: `With what is there already, it would take more than ${MAX_METADATA} bytes of JSON.`,
});
