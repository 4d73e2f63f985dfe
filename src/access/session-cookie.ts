import type { IncomingMessage } from 'node:http';

/** The header that a page sends to show that it is not a form of another site. Its value does not matter. */
export const CSRF_HEADER = 'x-parley-csrf';

/** How long a session lasts, in seconds. */
export const SESSION_SECONDS = 12 * 60 * 60;

/**
 * The cookie that holds the session of an operator who has signed in. Browsers send it along with what other pages ask for too, so
 * it counts only in a request of a page of exactly this origin: over HTTP with a header that no form can send, over WebSocket with
 * the `Origin` that browsers set.
 */
export class SessionCookie {
  readonly origin: string;
  private readonly isSecure: boolean;
  private readonly name: string;

  /** `origin` is that at which browsers reach the server. */
  constructor(origin: string) {
    this.origin = origin;
    this.isSecure = origin.startsWith('https:');
    this.name = this.nameOf('parley-session');
  }

  /** The name of a cookie. A browser takes one of this prefix only from this host, over TLS, for all paths. */
  nameOf(name: string): string {
    return this.isSecure ? `__Host-${name}` : name;
  }

  /** The session of a request that may use it. Null for others. */
  sessionOf(req: IncomingMessage): string | null {
    const { origin, upgrade } = req.headers;
    const isOwn = origin === this.origin;
    const counts =
      upgrade !== undefined ? isOwn : req.headers[CSRF_HEADER] !== undefined && (isOwn || origin === undefined);
    return counts ? cookieOf(req, this.name) : null;
  }

  /** The value of `Set-Cookie` that begins a session. */
  begin(session: string): string {
    return this.cookie(this.name, session, { sameSite: 'Strict', seconds: SESSION_SECONDS });
  }

  /** The value of `Set-Cookie` that ends it in this browser. */
  end(): string {
    return this.cookie(this.name, '', { sameSite: 'Strict', seconds: 0 });
  }

  /** The value of `Set-Cookie` for a cookie with a name of `nameOf`, which scripts cannot read. */
  cookie(name: string, value: string, of: { sameSite: 'Strict' | 'Lax'; seconds: number }): string {
    const secure = this.isSecure ? '; Secure' : '';
    return `${name}=${value}; Path=/; Max-Age=${of.seconds}; HttpOnly; SameSite=${of.sameSite}${secure}`;
  }
}

/** The value of a cookie. Null if there is none, or several of the name: one of them is not ours. */
export function cookieOf(req: IncomingMessage, name: string): string | null {
  const values = (req.headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`));
  return values.length === 1 ? (values[0]?.slice(name.length + 1) ?? null) : null;
}
