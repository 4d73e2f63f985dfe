import { type LookupAddress, lookup as lookupByName } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Finds all addresses of a name; `dns.lookup` unless a test says otherwise. */
export type Resolve = (
  hostname: string,
  options: { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** A name or an address leads to where calls must not go. */
export class PrivateAddressError extends Error {
  override name = 'PrivateAddressError';
}

/** Where clouds keep services of their own for each machine, at addresses that look public. */
const ofPlatforms = [
  // Azure: the wire server, DHCP, DNS and health probes.
  '168.63.129.16/32',
  // IBM Cloud: DNS, mirrors and private endpoints.
  '161.26.0.0/16',
  '166.8.0.0/14',
].map((block) => ipaddr.parseCIDR(block));

/** The block that global IPv6 addresses are given out of. */
const globalIPv6 = ipaddr.parseCIDR('2000::/3');

/**
 * Whether an IP address is one of the public internet: not private, loopback, link-local (where clouds keep their metadata),
 * multicast, reserved, a cloud's own, nor an IPv6 address that leads to an IPv4 one by translation or a tunnel.
 */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false;
  // An IPv4 address in IPv6 clothes counts as what it is.
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  if (parsed.kind() === 'ipv6') return parsed.match(globalIPv6);
  return !ofPlatforms.some((block) => parsed.match(block));
}

/** A `lookup` for sockets that are to reach public addresses only. What it has checked is what the socket connects to. */
export function publicLookup(resolve: Resolve = lookupByName): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      // After an error there are no addresses, not even none.
      const [first] = error ? [] : addresses;
      if (!first) {
        callback(error ?? new Error('The name has no address.'), '', 0);
      } else if (!addresses.every(({ address }) => isPublicAddress(address))) {
        callback(new PrivateAddressError('The name leads to an address that is not public.'), '', 0);
      } else if (options.all) {
        callback(null, addresses);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

/** Throws when the host is written as an address that is not public: sockets do not look those up. */
export function assertNotPrivate(url: URL): void {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) !== 0 && !isPublicAddress(host)) throw new PrivateAddressError('The address is not public.');
}
