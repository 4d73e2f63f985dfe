/** The forms that the values of settings take. */
import { z } from 'zod';
import { readS3Address } from './storage/address.ts';

/** A whole number in this range. */
export function whole(min: number, max: number) {
  return z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number)
    .pipe(z.number().min(min).max(max));
}

/** What a header can carry. */
export function apiKey() {
  return z
    .string()
    .regex(/^[\x21-\x7e]*$/, 'contains a space or another character that is not printable ASCII')
    .optional();
}

/** Refuses what is no URL of the web, and one that would tell a secret. */
export function checkWebUrl(url: string, context: z.RefinementCtx): void {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) context.addIssue('is not a well-formed http:// or https:// URL');
  else if (new URL(url).username || new URL(url).password) context.addIssue('contains a user or a password');
}

/** Refuses what is no URL of PostgreSQL. */
export function checkDatabaseUrl(url: string, context: z.RefinementCtx): void {
  if (!/^postgres(ql)?:\/\//.test(url)) context.addIssue('does not begin with postgres:// or postgresql://');
  else if (!isWellFormed(url)) context.addIssue('is not a well-formed URL');
}

/** Refuses what names no storage. */
export function checkStorageUrl(url: string, context: z.RefinementCtx): void {
  if (!readS3Address(url)) context.addIssue('is not of the form s3://key:secret@host/bucket');
}

/** Refuses what is no mail server. */
export function checkSmtpUrl(url: string, context: z.RefinementCtx): void {
  if (!/^smtps?:\/\//.test(url)) context.addIssue('does not begin with smtp:// or smtps://');
  else if (!URL.canParse(url) || new URL(url).hostname === '') context.addIssue('is not a well-formed URL with a host');
}

/** Refuses what names no bus. */
export function checkEventsUrl(url: string, context: z.RefinementCtx): void {
  if (url === 'memory:') return;
  if (!/^(rediss?|nats|tls|postgres(ql)?):\/\//.test(url)) context.addIssue('begins with none of the allowed schemes');
  else if (!isWellFormed(url)) context.addIssue('is not a well-formed URL');
}

/** PostgreSQL allows a URL without a host (`postgres://user@/database?host=/run/postgresql`), the URL standard does not. */
function isWellFormed(url: string): boolean {
  return URL.canParse(url.replace('@/', '@localhost/'));
}

/** The entries of a list that commas separate. */
export function toList(list: string): string[] {
  return list
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** The origins in a list; refuses what is none. */
export function toOrigins(list: string, context: z.RefinementCtx): string[] {
  const urls = toList(list);
  for (const url of urls) if (!isOrigin(url)) context.addIssue(`${url} is not an origin`);
  return urls.filter(isOrigin).map((url) => new URL(url).origin);
}

function isOrigin(url: string): boolean {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) return false;
  const { origin, href } = new URL(url);
  return href === `${origin}/`;
}

/** One origin. */
export function toOrigin(url: string, context: z.RefinementCtx): string {
  if (isOrigin(url)) return new URL(url).origin;
  context.addIssue('is not an origin');
  return url;
}

/** Refuses what is no issuer. Without TLS anybody on the way could say who somebody is, so that is for this machine alone. */
export function checkIssuer(url: string, context: z.RefinementCtx): void {
  checkWebUrl(url, context);
  if (!URL.canParse(url) || url.startsWith('https:')) return;
  const { hostname } = new URL(url);
  if (!['localhost', '127.0.0.1', '[::1]'].includes(hostname)) context.addIssue('is not reached over TLS');
}

/** The domains in a list, in lower case; refuses what is none. */
export function toDomains(list: string, context: z.RefinementCtx): string[] {
  const domains = toList(list).map((domain) => domain.toLowerCase());
  if (domains.length === 0) context.addIssue('names no domain');
  for (const domain of domains) {
    if (!/^([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}$/.test(domain)) context.addIssue(`${domain} is not a domain`);
  }
  return domains;
}
