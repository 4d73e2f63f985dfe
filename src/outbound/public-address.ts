import { type LookupAddress, lookup as lookupByName } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Finds all addresses of a name. This is `dns.lookup`, except in tests. */
export type Resolve = (
  hostname: string,
  options: { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** A name or an address is not public, and calls to it are not allowed. */
export class PrivateAddressError extends Error {
  override name = 'PrivateAddressError';
}

/** Addresses that look public but lead to a cloud's internal services. */
const ofPlatforms = [
  // Azure: the wire server, DHCP, DNS and health probes.
  '168.63.129.16/32',
  // IBM Cloud: DNS, mirrors and private endpoints.
  '161.26.0.0/16',
  '166.8.0.0/14',
].map((block) => ipaddr.parseCIDR(block));

/** The block of global IPv6 addresses. */
const globalIPv6 = ipaddr.parseCIDR('2000::/3');

/**
 * Whether an IP address is on the public internet: not private, loopback, link-local (where clouds serve metadata),
 * multicast, reserved, internal to a cloud, nor an IPv6 address that maps or tunnels to an IPv4 address.
 */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false;
  // An IPv4-mapped IPv6 address is judged as the IPv4 address.
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  if (parsed.kind() === 'ipv6') return parsed.match(globalIPv6);
  return !ofPlatforms.some((block) => parsed.match(block));
}

/** A `lookup` for sockets that allows only public addresses. The socket connects to the very addresses that were checked. */
export function publicLookup(resolve: Resolve = lookupByName): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      // After an error `addresses` is undefined.
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

/** Throws if the host is an IP address that is not public: sockets do not call `lookup` for those. */
export function assertNotPrivate(url: URL): void {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) !== 0 && !isPublicAddress(host)) throw new PrivateAddressError('The address is not public.');
}
