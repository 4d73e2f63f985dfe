import { setTimeout as sleep } from 'node:timers/promises';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import verifyDmarc from 'mailauth/lib/dmarc/verify.js';
import type { ResolveDns } from '../model.ts';

/** How long one look-up and all of a letter may take, in milliseconds. */
const [LOOKUP_MS, ALL_MS] = [3000, 10_000];

/** A letter with more signatures is not looked at. */
const MOST_SIGNATURES = 8;

/** The beginning of a letter that has all that is looked up, in bytes. */
export const HEAD_BYTES = 256 * 1024;

/** What the domain name system says of the domains that a letter names, by the kind and the name. What is missing there could not be had. */
export type DnsRecords = ReadonlyMap<string, unknown>;

const keyOf = (name: string, type: string) => `${type} ${name}`;

/**
 * Looks up what `isVouchedFor` needs of a letter, by its beginning alone. Apart from that, so that no letter waits in the middle of its
 * reading for a slow server of somebody else. Never throws; takes ten seconds at most.
 */
export async function lookUpRecords(head: Buffer, resolveDns: ResolveDns): Promise<DnsRecords> {
  const records = new Map<string, unknown>();
  if (!isWorthwhile(head)) return records;
  const controller = new AbortController();
  const limited = <T>(work: Promise<T>, milliseconds: number): Promise<T> =>
    Promise.race([
      work,
      sleep(milliseconds, undefined, { signal: controller.signal }).then((): never => {
        throw new Error('The domain name system did not answer in time.');
      }),
    ]);
  const resolver = async (name: string, type: string): Promise<unknown> => {
    const found = await limited(resolveDns(name, type), LOOKUP_MS);
    records.set(keyOf(name, type), found);
    return found;
  };
  try {
    // Without the body no signature is right; what it names is known all the same.
    const { headerFrom = [], results = [] } = await dkimVerify(headersAlone(head), { resolver: unknown });
    const keys = results.map(({ selector, signingDomain }) => `${selector}._domainkey.${signingDomain}`);
    await limited(
      Promise.allSettled([
        ...[...new Set(keys)].map((name) => resolver(name, 'TXT')),
        verifyDmarc({ headerFrom, spfDomains: [], dkimDomains: [], resolver }),
      ]),
      ALL_MS,
    );
  } catch {
    // Who cannot be asked vouches for nothing.
  } finally {
    controller.abort();
  }
  return records;
}

/**
 * Whether the domain of the sender vouches for a letter: DMARC, by a DKIM signature over all of the body. SPF says nothing here, since
 * the server that a letter came from is not known. It takes time and memory like the reading of the letter.
 */
export async function isVouchedFor(raw: Buffer, from: string, records: DnsRecords): Promise<boolean> {
  if (records.size === 0 || !isWorthwhile(raw)) return false;
  const resolver: ResolveDns = (name, type) => {
    const found = records.get(keyOf(name, type));
    return found === undefined ? unknown(name) : Promise.resolve(found);
  };
  try {
    return await passes(raw, from, resolver);
  } catch {
    return false;
  }
}

async function passes(raw: Buffer, from: string, resolver: ResolveDns): Promise<boolean> {
  const { headerFrom = [], results = [] } = await dkimVerify(raw, { resolver, minBitLength: 1024 });
  if (headerFrom.length !== 1 || headerFrom[0]?.toLowerCase() !== from.toLowerCase()) return false;
  const dkimDomains = results
    .filter(({ status, canonBodyLengthLimited }) => status.result === 'pass' && !canonBodyLengthLimited)
    .map(({ id, signingDomain, status }) => ({
      id,
      domain: signingDomain,
      aligned: status.aligned ?? false,
      underSized: status.underSized ?? false,
    }));
  if (dkimDomains.length === 0) return false;
  const verdict = await verifyDmarc({ headerFrom, spfDomains: [], dkimDomains, resolver });
  return verdict !== false && verdict.status.result === 'pass';
}

function unknown(name: string): Promise<never> {
  return Promise.reject(Object.assign(new Error(`${name} is not known`), { code: 'ENOTFOUND' }));
}

function isWorthwhile(raw: Buffer): boolean {
  const head = headOf(raw);
  const signatures = head.match(/^dkim-signature:/gim)?.length ?? 0;
  return signatures > 0 && signatures <= MOST_SIGNATURES && (head.match(/^from:/gim)?.length ?? 0) === 1;
}

const headersAlone = (raw: Buffer) => Buffer.from(`${headOf(raw)}\r\n\r\n`, 'latin1');

/** The headers of a letter, at most their first 256 KiB, a byte for each character. */
export function headOf(raw: Buffer): string {
  const text = raw.subarray(0, HEAD_BYTES).toString('latin1');
  const end = text.search(/\r?\n\r?\n/);
  return end < 0 ? text : text.slice(0, end);
}
