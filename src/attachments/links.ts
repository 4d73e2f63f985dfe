import { createHmac, timingSafeEqual } from 'node:crypto';
import { decodeId, encodeId } from '../ids.ts';
import { GOOD_SECONDS } from './model.ts';

export const ATTACHMENTS_PATH = '/attachments/';

type Verb = 'GET' | 'PUT';

interface Signed {
  id: string;
  secret: string;
}

const sign = (verb: Verb, { id, secret }: Signed, expires: string) =>
  createHmac('sha256', Buffer.from(secret, 'hex')).update(`${verb} ${id} ${expires}`).digest();

/** An address that is good until then, for whoever has it: to upload the file once, or to download it. */
export function linkTo(publicUrl: string, verb: Verb, attachment: Signed, expiresAt = inAnHour()): string {
  const expires = String(Math.floor(expiresAt.getTime() / 1000));
  const url = new URL(ATTACHMENTS_PATH + encodeId('Attachment', attachment.id), publicUrl);
  url.searchParams.set('expires', expires);
  url.searchParams.set('signature', sign(verb, attachment, expires).toString('base64url'));
  return url.href;
}

/** When an address that is made now expires. */
export const inAnHour = () => new Date((Math.floor(Date.now() / 1000) + GOOD_SECONDS) * 1000);

/** What an address names, before its signature is known to be good. Null if it is malformed. */
export interface Link {
  id: string;
  expires: string;
  signature: Buffer;
}

export function readLink(url: string): Link | null {
  if (url.length > 1000 || !URL.canParse(url, 'http://localhost')) return null;
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const id = decodeId('Attachment', pathname.slice(ATTACHMENTS_PATH.length));
  const expires = searchParams.get('expires') ?? '';
  if (!id || !/^\d{1,12}$/.test(expires)) return null;
  return { id, expires, signature: Buffer.from(searchParams.get('signature') ?? '', 'base64url') };
}

export function isSignedBy({ id, expires, signature }: Link, verb: Verb, secret: string): boolean {
  const right = sign(verb, { id, secret }, expires);
  return signature.length === right.length && timingSafeEqual(signature, right);
}

export const hasExpired = ({ expires }: Link) => Number(expires) * 1000 < Date.now();
