import { randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';

/** Where a page exchanges the token of a link for a session. */
export const SIGN_IN_PATH = '/sign-in';

/** The file in `DATA_DIR` that holds the current sign-in link. Only the account that runs Parley can read it. */
export function signInFile(dataDir: string): string {
  return join(dataDir, 'sign-in');
}

/**
 * Signs in browsers on this machine that open a secret link. Only the account that runs Parley knows the link: it is printed and
 * written to a file. A link works once and is then replaced. It is exchanged for a session that lives as long as the
 * process. Link and session are refused to requests from another machine, through a proxy, or to a host name that is not local.
 */
export class LocalSignIn {
  private readonly url: string;
  private readonly file: string;
  private readonly session = `local_${secret()}`;
  /** Who such a browser is. */
  readonly operatorId: string;
  private token = secret();

  /** `url` is the address on this machine at which the server listens. */
  constructor(options: { url: string; operatorId: string; dataDir: string }) {
    this.url = reachable(options.url);
    this.file = signInFile(options.dataDir);
    this.operatorId = options.operatorId;
    this.write();
  }

  /** The current link. Its token is in the URL's fragment, which browsers do not send. */
  get link(): string {
    return `${this.url}/graphql#sign-in=${this.token}`;
  }

  /** Exchanges the request's token for a session. Null if the token is wrong or the request is not local. */
  exchange(req: IncomingMessage): string | null {
    const token = /^Bearer +(\S+)$/i.exec(req.headers.authorization ?? '')?.[1];
    if (token === undefined || !isLocal(req) || !isSame(token, this.token)) return null;
    this.token = secret();
    this.write();
    return this.session;
  }

  /** Whether a credential is the session, in a request from this machine. */
  holds(req: IncomingMessage, credential: string): boolean {
    return isLocal(req) && isSame(credential, this.session);
  }

  close(): void {
    rmSync(this.file, { force: true });
  }

  private write(): void {
    mkdirSync(dirname(this.file), { recursive: true });
    // An existing file would keep its mode.
    rmSync(this.file, { force: true });
    writeFileSync(this.file, `${this.link}\n`, { mode: 0o600, flag: 'wx' });
  }
}

/**
 * Whether a request comes from this machine and is meant for this server. The check of the host name keeps out pages that point
 * their own name at this machine. Requests through a proxy are refused, since anybody may have sent them.
 */
function isLocal(req: IncomingMessage): boolean {
  const address = req.socket.remoteAddress ?? '';
  const host = (req.headers.host ?? '').replace(/:\d+$/, '');
  const { origin } = req.headers;
  const isForwarded = Object.keys(req.headers).some((name) => /^(forwarded|via|x-forwarded.*|x-real-ip)$/.test(name));
  return (
    !isForwarded &&
    /^(127\.|::1$|::ffff:127\.)/.test(address) &&
    ['localhost', '127.0.0.1', '[::1]'].includes(host) &&
    (origin === undefined || origin === `http://${req.headers.host ?? ''}`)
  );
}

/** Replaces the address that means "all addresses" by one that a browser can open. */
export function reachable(url: string): string {
  return url.replace(/^http:\/\/(0\.0\.0\.0|\[::\]):/, 'http://127.0.0.1:');
}

function secret(): string {
  return randomBytes(24).toString('base64url');
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
