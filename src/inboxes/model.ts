import { randomBytes } from 'node:crypto';
import type { Pool } from '../db.ts';
import type { InboxChannel } from '../generated/prisma/enums.ts';
import type { NewId } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import { valueLimits, type ValueReader } from '../value-reader.ts';
import { type AttendedHours, minuteOf, timeZoneNamed } from './attendance.ts';

/** The services that the commands on inboxes use. */
export interface InboxServices {
  pool: Pool;
  newId: NewId;
}

export const inboxLimits = {
  /** In characters. */
  name: 200,
  origins: 50,
  hours: 50,
  /** In bytes. */
  awayMessage: 2048,
  /** What the metadata may take in all, in bytes of JSON as PostgreSQL writes it. */
  metadata: 128 * 1024,
} as const;

/** What can be said of an inbox. A field left out stays unchanged; null clears it. */
export interface InboxInput {
  name?: string | null | undefined;
  agentId?: string | null | undefined;
  allowedOrigins?: readonly (URL | string)[] | null | undefined;
  allowsAnonymous?: boolean | null | undefined;
  address?: string | null | undefined;
  emailInboxId?: string | null | undefined;
  timeZone?: string | null | undefined;
  hours?: readonly AttendedHours[] | null | undefined;
  awayMessage?: string | null | undefined;
  metadata?: unknown;
}

/** An inbox as it is stored. */
export interface InboxData {
  name: string;
  channel: InboxChannel;
  allowedOrigins: string[];
  allowsAnonymous: boolean;
  address: string | null;
  timeZone: string | null;
  hours: AttendedHours[] | null;
  awayMessage: string | null;
}

/** The data of an inbox after a change, but for its agent, its email inbox and its metadata. */
export function readInbox(reader: ValueReader, input: InboxInput, before: InboxData): InboxData {
  const { channel } = before;
  const ofWebChat = channel === 'WEB_CHAT';
  if (!ofWebChat && input.allowedOrigins != null) reader.refuse(['allowedOrigins'], 'Is for a web chat.');
  if (!ofWebChat && input.allowsAnonymous != null) reader.refuse(['allowsAnonymous'], 'Is for a web chat.');
  if (!ofWebChat && input.emailInboxId != null) reader.refuse(['emailInboxId'], 'Is for a web chat.');
  if (channel !== 'EMAIL' && input.address != null) reader.refuse(['address'], 'Is for an email inbox.');
  const data = {
    channel,
    name: input.name === undefined ? before.name : readName(reader, input.name),
    allowedOrigins:
      input.allowedOrigins === undefined ? before.allowedOrigins : readOrigins(reader, input.allowedOrigins ?? []),
    allowsAnonymous: input.allowsAnonymous === undefined ? before.allowsAnonymous : (input.allowsAnonymous ?? true),
    address: input.address === undefined ? before.address : readAddress(reader, input.address),
    timeZone: input.timeZone === undefined ? before.timeZone : readTimeZone(reader, input.timeZone),
    hours: input.hours === undefined ? before.hours : readHours(reader, input.hours),
    awayMessage:
      input.awayMessage === undefined
        ? before.awayMessage
        : (reader.text(['awayMessage'], input.awayMessage, inboxLimits.awayMessage) ?? null),
  };
  if (data.hours !== null && data.timeZone === null) {
    reader.refuse(['timeZone'], 'Hours need the time zone that they are in.', 'REQUIRED');
  }
  return data;
}

/** Reads what is added to the metadata, as a merge patch. Undefined if nothing is. */
export function readInboxMetadata(reader: ValueReader, { metadata }: InboxInput): JsonObject | undefined {
  return reader.object(['metadata'], metadata, valueLimits.metadata);
}

function readName(reader: ValueReader, given: string | null): string {
  const name = reader.text(['name'], given) ?? '';
  if (name.length < 1 || name.length > inboxLimits.name)
    reader.refuse(['name'], `Must be 1 to ${inboxLimits.name} characters long.`, 'TOO_LONG');
  return name;
}

function readOrigins(reader: ValueReader, given: readonly (URL | string)[]): string[] {
  const { origins: most } = inboxLimits;
  if (given.length > most) {
    reader.refuse(['allowedOrigins'], `Has ${given.length} entries; at most ${most} are allowed.`, 'TOO_LONG');
    return [];
  }
  const origins = given.map((entry, index) => {
    const path = ['allowedOrigins', String(index)];
    const text = reader.url(path, entry);
    const url = text !== undefined && URL.canParse(text) ? new URL(text) : null;
    if (url && url.href !== `${url.origin}/`)
      reader.refuse(path, 'Must be an origin: a scheme, a host and a port, without a path.', 'MALFORMED');
    return url?.origin ?? '';
  });
  return [...new Set(origins)];
}

/** The part before the @ leaves room for what names a conversation in the addresses that answers go to: 64 characters in all. */
const addressPattern = /^(?!\.)[\w!#$%&'*/=?^`{|}~.-]{1,24}(?<!\.)@[a-z\d](?:[a-z\d.-]*[a-z\d])?$/i;

function readAddress(reader: ValueReader, given: string | null): string | null {
  const address = reader.text(['address'], given, 254) ?? null;
  if (address !== null && !addressPattern.test(address)) {
    const detail = 'Must be one email address, without `+` and with at most 24 characters before the @.';
    reader.refuse(['address'], detail, 'MALFORMED');
  }
  return address;
}

function readTimeZone(reader: ValueReader, given: string | null): string | null {
  const name = reader.text(['timeZone'], given, 100) ?? null;
  const known = name === null ? null : timeZoneNamed(name);
  if (name !== null && known === null)
    reader.refuse(['timeZone'], 'Must be the name of a time zone, such as `Europe/Berlin`.', 'MALFORMED');
  return known;
}

function readHours(reader: ValueReader, given: readonly AttendedHours[] | null): AttendedHours[] | null {
  if (given === null) return null;
  const { hours: most } = inboxLimits;
  if (given.length > most) {
    reader.refuse(['hours'], `Has ${given.length} entries; at most ${most} are allowed.`, 'TOO_LONG');
    return [];
  }
  return given.map(({ day, from, to }, index) => {
    const [start, end] = [minuteOf(from), minuteOf(to)];
    for (const [name, minute] of [
      ['from', start],
      ['to', end],
    ] as const) {
      if (Number.isNaN(minute))
        reader.refuse(['hours', String(index), name], 'Must be a time from `00:00` to `24:00`.', 'MALFORMED');
    }
    if (end <= start) reader.refuse(['hours', String(index), 'to'], 'Must be later than `from`.', 'OUT_OF_RANGE');
    return { day, from, to };
  });
}

/** A new key by which pages name a web chat. It is public, and only need not be guessed. */
export function newPublicKey(): string {
  return `web_${randomBytes(16).toString('base64url')}`;
}

/** A new secret that signs identities. Stored as it is, since signatures are checked with it. */
export function newIdentitySecret(): string {
  return `identity_${randomBytes(32).toString('base64url')}`;
}
