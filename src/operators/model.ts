import pg from 'pg';
import type { Pool } from '../db.ts';
import { isEmailAddress } from '../email-address.ts';
import { InvalidInputError } from '../errors.ts';
import type { OperatorRole } from '../generated/prisma/enums.ts';
import type { NewId } from '../ids.ts';
import type { ValueReader } from '../value-reader.ts';

/** The services that the commands on operators use. */
export interface OperatorServices {
  pool: Pool;
  newId: NewId;
}

/** What can be said of an operator. A field left out stays unchanged; null clears it. */
export interface OperatorInput {
  name?: string | null | undefined;
  email?: string | null | undefined;
  avatarUrl?: URL | string | null | undefined;
  role?: OperatorRole | null | undefined;
}

/** The given fields as read: those left out are not there. */
export interface OperatorPatch {
  name?: string;
  email?: string | null;
  avatarUrl?: string | null;
  role?: OperatorRole;
}

/** The longest name of an operator, in bytes. */
export const MAX_NAME = 200;

/** Reads what is said of an operator. A name and a role cannot be cleared. */
export function readOperator(reader: ValueReader, { name, email, avatarUrl, role }: OperatorInput): OperatorPatch {
  const patch: OperatorPatch = {};
  if (name !== undefined) {
    patch.name = reader.text(['name'], name, MAX_NAME)?.trim() ?? '';
    if (patch.name === '') reader.refuse(['name'], 'Must not be empty.', 'REQUIRED');
  }
  if (email !== undefined) {
    patch.email = reader.text(['email'], email, 254) ?? null;
    if (patch.email !== null && !isEmailAddress(patch.email)) {
      reader.refuse(['email'], 'Must be one email address.', 'MALFORMED');
    }
  }
  if (avatarUrl !== undefined) patch.avatarUrl = reader.url(['avatarUrl'], avatarUrl) ?? null;
  if (role === null) reader.refuse(['role'], 'Must not be null.', 'REQUIRED');
  else if (role !== undefined) patch.role = role;
  return patch;
}

/** The failure if another operator has the email address. Null for other errors. */
export function takenEmail(error: unknown): InvalidInputError | null {
  if (!(error instanceof pg.DatabaseError) || error.constraint !== 'operator_email_key') return null;
  return new InvalidInputError([{ path: ['email'], code: 'DUPLICATE', detail: 'Belongs to another operator.' }]);
}
