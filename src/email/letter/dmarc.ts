import { setTimeout as sleep } from 'node:timers/promises';
import { domainToASCII } from 'node:url';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import verifyDmarc from 'mailauth/lib/dmarc/verify.js';
import type { ResolveDns } from '../model.ts';
import type { LetterIssue } from './letter.ts';

/** How long the look-ups of a letter may take together, in milliseconds. */
const LOOKUPS_MS = 3000;

/** Signatures of a letter with more than this are not looked at: what they cost grows faster than the letter. */
export const signatureLimits = {
  signatures: 5,
  headerLines: 2000,
  /** Lines that one header field goes on for. */
  continuationLines: 100,
  bodyLines: 500_000,
  /** Bytes of a line of the body. */
  bodyLine: 100_000,
} as const;

/** The beginning of a letter that has all that is looked up, in bytes. */
export const HEAD_BYTES = 256 * 1024;

/** What the domain name system says of the domains that a letter names, by the kind and the name. What is missing there could not be had. */
export type DnsRecords = ReadonlyMap<string, unknown>;

const keyOf = (name: string, type: string) => `${type} ${name}`;

/**
 * Looks up what `isVouchedFor` needs of a letter, by its beginning alone. Apart from that, so that no letter waits in the middle of its
 * reading for a slow server of somebody else. Never throws; takes three seconds at most.
 */
export async function lookUpRecords(head: Buffer, resolveDns: ResolveDns): Promise<DnsRecords> {
  const records = new Map<string, unknown>();
  const headers = headOf(head);
  if (!isSigned(headers) || excessOfHead(headers) !== null) return records;
  const controller = new AbortController();
  const resolver = async (name: string, type: string): Promise<unknown> => {
    const found = await resolveDns(name, type);
    records.set(keyOf(name, type), found);
    return found;
  };
  try {
    // Without the body no signature is right; what it names is known all the same.
    const alone = withCrLf(Buffer.from(`${headers}\n\n`, 'latin1'));
    const { headerFrom = [], results = [] } = await dkimVerify(alone, { resolver: unknown });
    const keys = new Set(results.map(({ selector, signingDomain }) => `${selector}._domainkey.${signingDomain}`));
    await Promise.race([
      Promise.allSettled([
        ...Array.from(keys, (name) => resolver(name, 'TXT')),
        verifyDmarc({ headerFrom, spfDomains: [], dkimDomains: [], resolver }),
      ]),
      sleep(LOOKUPS_MS, undefined, { signal: controller.signal }),
    ]);
  } catch {
    // Who cannot be asked vouches for nothing.
  } finally {
    controller.abort();
  }
  return records;
}

/**
 * Whether the domain of the sender vouches for a letter: DMARC, by a DKIM signature over all of the body. SPF says nothing here, since
 * the server that a letter came from is not known. It takes time and memory like the reading of the letter. An issue tells that its
 * signatures were not looked at.
 */
export async function isVouchedFor(
  raw: Buffer,
  from: string,
  records: DnsRecords,
): Promise<{ vouchedFor: boolean; issue?: LetterIssue }> {
  const head = headOf(raw);
  if (!isSigned(head)) return { vouchedFor: false };
  const excess = excessOfHead(head) ?? excessOfBody(raw);
  if (excess !== null) {
    const text = `Whether the domain of its sender vouches for it was not looked at: it has ${excess}.`;
    return { vouchedFor: false, issue: { code: 'NOT_VERIFIED', text } };
  }
  const resolver: ResolveDns = (name, type) => {
    const found = records.get(keyOf(name, type));
    return found === undefined ? unknown(name) : Promise.resolve(found);
  };
  try {
    return { vouchedFor: await passes(withCrLf(raw), from, resolver) };
  } catch {
    return { vouchedFor: false };
  }
}

async function passes(raw: Buffer, from: string, resolver: ResolveDns): Promise<boolean> {
  const { headerFrom = [], results = [] } = await dkimVerify(raw, { resolver, minBitLength: 1024 });
  if (headerFrom.length !== 1 || headerFrom[0]?.toLowerCase() !== from.toLowerCase()) return false;
  const dkimDomains = results
    .filter(({ status, canonBodyLengthLimited }) => status.result === 'pass' && !canonBodyLengthLimited)
    .filter(({ algo }) => algo?.toLowerCase().endsWith('sha256'))
    .map(({ id, signingDomain, status }) => ({
      id,
      domain: signingDomain,
      aligned: status.aligned ?? false,
      underSized: status.underSized ?? false,
    }));
  if (dkimDomains.length === 0) return false;
  const verdict = await verifyDmarc({ headerFrom, spfDomains: [], dkimDomains, resolver });
  if (verdict === false || verdict.status.result !== 'pass') return false;
  // The package takes any domain of the organization, also where the record asks for the very same (`adkim=s`).
  const domain = asciiOf(from.slice(from.lastIndexOf('@') + 1));
  return !verdict.alignment?.dkim.strict || dkimDomains.some((signed) => asciiOf(signed.domain) === domain);
}

const asciiOf = (domain: string) => domainToASCII(domain.trim()) || domain.trim().toLowerCase();

function unknown(name: string): Promise<never> {
  return Promise.reject(Object.assign(new Error(`${name} is not known`), { code: 'ENOTFOUND' }));
}

const isSigned = (head: string) => /^dkim-signature:/im.test(head);

/** What the headers have too much of to be looked at; null when they can be. */
function excessOfHead(head: string): string | null {
  const { signatures, headerLines, continuationLines } = signatureLimits;
  if (head.length >= HEAD_BYTES) return `more than ${HEAD_BYTES / 1024} KiB of headers`;
  const lines = head.split('\n');
  if (lines.length > headerLines) return `more than ${headerLines} lines of headers`;
  let continued = 0;
  for (const line of lines) {
    continued = /^\s/.test(line) ? continued + 1 : 0;
    if (continued > continuationLines) return `a header of more than ${continuationLines} lines`;
  }
  if ((head.match(/^dkim-signature[ \t]*:/gim)?.length ?? 0) > signatures) return `more than ${signatures} signatures`;
  return (head.match(/^from[ \t]*:/gim)?.length ?? 0) === 1 ? null : 'no sender, or several';
}

function excessOfBody(raw: Buffer): string | null {
  const { bodyLines, bodyLine } = signatureLimits;
  let lines = 0;
  for (let begin = 0, end = 0; begin < raw.length; begin = end + 1) {
    end = raw.indexOf(0x0a, begin);
    if (end < 0) end = raw.length;
    lines += 1;
    if (lines > bodyLines) return `more than ${bodyLines} lines`;
    if (end - begin > bodyLine) return `a line of more than ${bodyLine} bytes`;
  }
  return null;
}

/** Lines that end in LF alone cost the package a buffer each. */
const withCrLf = (raw: Buffer) => Buffer.from(raw.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');

/** The headers of a letter, at most their first 256 KiB, a byte for each character. */
export function headOf(raw: Buffer): string {
  const text = raw.subarray(0, HEAD_BYTES).toString('latin1');
  const end = text.search(/\r?\n\r?\n/);
  return end < 0 ? text : text.slice(0, end);
}
