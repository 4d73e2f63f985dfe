import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/**
 * The network that a request comes from: an IPv4 address, or the /64 of an IPv6 address, which one household has. Behind trusted
 * proxies it is the address that the outermost of them saw: each adds one to the end of `X-Forwarded-For`, some with a port. What is no
 * address is not believed.
 */
export function networkOf(req: IncomingMessage, trustedProxies: number): string {
  const forwarded = trustedProxies > 0 ? forwardedBy(req, trustedProxies) : null;
  const address = (forwarded ?? req.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
  return address.includes(':') ? prefixOf(address) : address;
}

/** The address that the outermost of so many proxies tells. */
function forwardedBy(req: IncomingMessage, proxies: number): string | null {
  const told = [req.headers['x-forwarded-for'] ?? []].flat().join(',').split(',');
  const address = withoutPort(told.at(-proxies)?.trim() ?? '');
  return isIP(address) ? address : null;
}

/** `1.2.3.4:443` as `1.2.3.4`, `[::1]:443` and `[::1]` as `::1`. */
function withoutPort(address: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1] ?? address;
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
