import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';

/**
 * The network that a request comes from: an IPv4 address, or the /64 of an IPv6 address, which one household has. Behind trusted
 * proxies it is the address that the outermost of them saw: each adds one to the end of `X-Forwarded-For`.
 */
export function networkOf(req: IncomingMessage, trustedProxies: number): string {
  const forwarded = [req.headers['x-forwarded-for'] ?? []].flat().join(',').split(',');
  const own = req.socket.remoteAddress ?? '';
  const seen = trustedProxies > 0 ? forwarded.at(-trustedProxies)?.trim() : undefined;
  const address = (seen || own).replace(/^::ffff:(?=\d+\.)/i, '').slice(0, 45);
  return isIPv6(address) ? prefixOf(address) : address;
}

/** The first four groups of an IPv6 address. */
function prefixOf(address: string): string {
  const [head = '', tail] = address.toLowerCase().split('%', 1)[0]?.split('::') ?? [];
  const groups = head === '' ? [] : head.split(':');
  const after = tail ? tail.split(':') : [];
  const missing = tail === undefined ? 0 : 8 - groups.length - after.length;
  const all = [...groups, ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...after];
  return `${all
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
