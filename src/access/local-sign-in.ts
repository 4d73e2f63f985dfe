import { randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import { viewerOf } from './api-keys.ts';
import { keyScopes, type Viewer } from './viewer.ts';

/** Where a page exchanges the token of a link for a session. */
export const SIGN_IN_PATH = '/sign-in';

/** The file in `DATA_DIR` that holds the link which works next. Only the account that runs Parley can read it. */
export function signInFile(dataDir: string): string {
  return join(dataDir, 'sign-in');
}

/**
 * Signs in browsers on this machine that open a link which only the account that runs Parley can know: it is printed, and
 * stands in a file. A link works once and is then replaced. The session that it is exchanged for lives as long as the
 * process. Both are refused to whoever comes from another machine, through a proxy, or by a name that is not of this machine.
 */
export class LocalSignIn {
  private readonly url: string;
  private readonly file: string;
  private readonly session = `local_${secret()}`;
  private readonly viewer: Viewer;
  private token = secret();

  /** `url` is where the server listens, on an address of this machine. */
  constructor(options: { url: string; organizationId: string; dataDir: string }) {
    this.url = reachable(options.url);
    this.file = signInFile(options.dataDir);
    this.viewer = viewerOf({
      id: 'local',
      keyId: null,
      organizationId: options.organizationId,
      name: 'This machine',
      scopes: [...keyScopes],
      expiresAt: null,
    });
    this.write();
  }

  /** The link that works next. Its token is in the fragment, which browsers send to nobody. */
  get link(): string {
    return `${this.url}/graphql#sign-in=${this.token}`;
  }

  /** A session, for the token that the request bears; null when it is not that of the link, or the request not from here. */
  exchange(req: IncomingMessage): string | null {
    const token = /^Bearer +(\S+)$/i.exec(req.headers.authorization ?? '')?.[1];
    if (token === undefined || !isLocal(req) || !isSame(token, this.token)) return null;
    this.token = secret();
    this.write();
    return this.session;
  }

  /** Whom a credential is the session of; null when of nobody. */
  authenticate(req: IncomingMessage, credential: string): Viewer | null {
    return isLocal(req) && isSame(credential, this.session) ? this.viewer : null;
  }

  close(): void {
    rmSync(this.file, { force: true });
  }

  private write(): void {
    mkdirSync(dirname(this.file), { recursive: true });
    // A file that is there already keeps its mode.
    rmSync(this.file, { force: true });
    writeFileSync(this.file, `${this.link}\n`, { mode: 0o600, flag: 'wx' });
  }
}

/**
 * Whether a request comes from a program on this machine that means this server: a name check keeps out pages that point a
 * name of their own at this machine, and behind a proxy anybody may be asking.
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

/** Nobody can connect to the address that stands for all. */
function reachable(url: string): string {
  return url.replace(/^http:\/\/(0\.0\.0\.0|\[::\]):/, 'http://127.0.0.1:');
}

function secret(): string {
  return randomBytes(24).toString('base64url');
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
