import { setTimeout as sleep } from 'node:timers/promises';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import verifyDmarc from 'mailauth/lib/dmarc/verify.js';
import type { ResolveDns } from '../model.ts';

/** How long one look-up and all of a letter may take, in milliseconds. */
const [LOOKUP_MS, ALL_MS] = [3000, 10_000];

/** A letter with more signatures is not looked at. */
const MOST_SIGNATURES = 8;

/**
 * Whether the domain of the sender vouches for a letter: DMARC, by a DKIM signature over all of the body. SPF says nothing here, since
 * the server that a letter came from is not known. False too when the look-ups fail or take too long.
 */
export async function isVouchedFor(raw: Buffer, from: string, resolveDns: ResolveDns): Promise<boolean> {
  const head = headOf(raw);
  const signatures = head.match(/^dkim-signature:/gim)?.length ?? 0;
  if (signatures === 0 || signatures > MOST_SIGNATURES || (head.match(/^from:/gim)?.length ?? 0) !== 1) return false;
  const controller = new AbortController();
  const limited = <T>(work: Promise<T>, milliseconds: number): Promise<T> =>
    Promise.race([
      work,
      sleep(milliseconds, undefined, { signal: controller.signal }).then((): never => {
        throw new Error('The domain name system did not answer in time.');
      }),
    ]);
  const resolver = (name: string, type: string) => limited(resolveDns(name, type), LOOKUP_MS);
  try {
    return await limited(passes(raw, from, resolver), ALL_MS);
  } catch {
    return false;
  } finally {
    controller.abort();
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

/** The headers of a letter, at most their first 256 KiB, a byte for each character. */
export function headOf(raw: Buffer): string {
  const text = raw.subarray(0, 256 * 1024).toString('latin1');
  const end = text.search(/\r?\n\r?\n/);
  return end < 0 ? text : text.slice(0, end);
}
