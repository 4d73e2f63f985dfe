import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ATTACHMENTS_PATH } from './attachments/links.ts';
import { networkOf } from './access/network.ts';
import type { Authenticate } from './access/authenticate.ts';
import type { Connections } from './access/connections.ts';
import { type LocalSignIn, SIGN_IN_PATH } from './access/local-sign-in.ts';
import type { RateLimits } from './access/rate-limits.ts';
import { Arrivals } from './graphql/arrivals.ts';
import type { Services } from './graphql/context.ts';
import { Groups } from './graphql/delivery/groups.ts';
import { serviceUnavailable, shuttingDown } from './graphql/errors.ts';
import { EMAIL_PATH, type LetterPost } from './email/receiving/post.ts';
import { createGraphQLServer, GRAPHQL_PATH } from './graphql/http.ts';
import { AcceptedOperations } from './graphql/accepted-operations.ts';
import type { PersistedOperations } from './graphql/persisted-operations.ts';
import { createWebSockets } from './graphql/websocket-operations.ts';
import type { WebChatOrigins } from './inboxes/origins.ts';
import type { Logger } from './logger.ts';
import { download, EXPORTS_PATH } from './records/download.ts';
import { attachmentRoute, isUpload } from './server/attachment-route.ts';
import { Entrance } from './server/entrance.ts';
import { Listener, refuse } from './server/listener.ts';
import { isSignInRoute, signInRoute, type SignInRoutesOptions } from './server/sign-in-routes.ts';
import { Strangers } from './server/strangers.ts';

export interface ServerOptions {
  port: number;
  host: string;
  allowedOrigins: readonly string[];
  /** How many proxies stand before the server that tell whom a request comes from. */
  trustedProxies: number;
  keepAliveSeconds: number;
  maxUnauthenticatedConnections: number;
  logger: Logger;
}

export interface ApiOptions {
  services: Services;
  authenticate: Authenticate;
  localSignIn: LocalSignIn | null;
  /** Null if nobody signs in with a provider. */
  signIn: Pick<SignInRoutesOptions, 'signIn' | 'cookie'> | null;
  connections: Connections;
  rateLimits: RateLimits;
  webChatOrigins: Pick<WebChatOrigins, 'has'>;
  letters: Pick<LetterPost, 'handle'>;
  introspection: boolean;
  persisted: PersistedOperations | null;
  maxSubscriptionsPerConnection: number;
  /** Throws if the server cannot do its work. */
  checkReady: () => Promise<void>;
}

export interface HttpServer {
  /** The address it listens at, for example `http://127.0.0.1:4000`. */
  readonly url: string;
  /** The queries and mutations that are running. */
  readonly accepted: AcceptedOperations;
  /** Starts to answer requests. Until then everything except `/health` is refused with 503. */
  serve(options: ApiOptions): void;
  /** Reports that it is not ready and closes each connection after its response, but still accepts work. */
  drain(): void;
  /** Accepts no more work. Running streams continue. */
  stopAccepting(): void;
  /** Ends the sockets and streams, and closes the port. */
  close(): Promise<void>;
}

/**
 * The API over HTTP, SSE and WebSocket on one port, with the two health checks. Listens at once. Throws `StartupError` if it
 * cannot, before anything else is done.
 */
export async function openHttpServer(options: ServerOptions): Promise<HttpServer> {
  const { allowedOrigins, trustedProxies, keepAliveSeconds, logger } = options;
  const strangers = new Strangers(options.maxUnauthenticatedConnections);
  const accepted = new AcceptedOperations();
  const entrance = new Entrance();
  let api: ReturnType<typeof openApi> | undefined;
  let isReady = true;
  /** Most requests name the same one. */
  let wellFormedHost = 'localhost';

  function isWellFormed(host: string): boolean {
    if (host === wellFormedHost) return true;
    if (!URL.canParse(`http://${host}`)) return false;
    wellFormedHost = host;
    return true;
  }

  function openApi(options: ApiOptions) {
    const { services, authenticate, localSignIn, signIn, webChatOrigins, letters, checkReady, ...rest } = options;
    const allowsOrigin = async (origin: string) => allowedOrigins.includes(origin) || webChatOrigins.has(origin);
    const common = {
      ...rest,
      services,
      accepted,
      arrivals: new Arrivals(),
      groups: new Groups(),
      logger,
      keepAliveSeconds,
      async authenticate(req: IncomingMessage, credential?: string) {
        const identity = await authenticate(req, credential);
        if (typeof identity === 'object') strangers.know(req.socket);
        return identity;
      },
    };
    return {
      services,
      answer: createGraphQLServer({ ...common, allowsOrigin, trustedProxies, graphiqlSignsIn: localSignIn !== null }),
      sockets: createWebSockets({ ...common, maxSubscriptions: rest.maxSubscriptionsPerConnection }),
      localSignIn,
      signIn: signIn && {
        ...signIn,
        logger,
        rateLimits: rest.rateLimits,
        trustedProxies,
        authenticate: (req: IncomingMessage) => common.authenticate(req),
      },
      allowsOrigin,
      letters,
      checkReady,
    };
  }

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    for (const [name, value] of securityHeaders) res.setHeader(name, value);
    if (!isWellFormed(req.headers.host ?? 'localhost')) {
      return respond(res, 400, { error: 'The Host header is not well-formed.' });
    }
    const path = pathOf(req);
    if (path === '/health') return respond(res, 200, { status: 'ok' });
    if (path === '/ready') return ready(res);
    if (path === '/') return redirect(res, GRAPHQL_PATH);
    const isDownload = path.startsWith(EXPORTS_PATH);
    const isAttachment = path.startsWith(ATTACHMENTS_PATH);
    const isLetter = path.startsWith(EMAIL_PATH);
    const isFile = isDownload || isAttachment;
    if (path !== GRAPHQL_PATH && path !== SIGN_IN_PATH && !isSignInRoute(path) && !isFile && !isLetter) {
      return respond(res, 404, { error: `There is nothing here. The API is at ${GRAPHQL_PATH}.` });
    }
    if (accepted.isClosed) return unavailable(res, shuttingDown());
    if (!api) return unavailable(res, serviceUnavailable('The server is starting. Try again in a moment.', 1));
    if (isDownload) return download(api.services, req, res);
    if (isAttachment) {
      const network = networkOf(req, trustedProxies);
      return attachmentRoute(api.services, req, res, { network, know: () => strangers.know(req.socket) });
    }
    if (isLetter) return api.letters.handle(req, res, () => strangers.know(req.socket));
    if (path === SIGN_IN_PATH) return signIn(api.localSignIn, req, res);
    if (isSignInRoute(path)) {
      if (api.signIn) return signInRoute(api.signIn, path, req, res);
      return respond(res, 404, { error: 'Nobody signs in with a provider here: OIDC_ISSUER is not set.' });
    }
    if (!(await entrance.enter(networkOf(req, trustedProxies)))) {
      return unavailable(res, serviceUnavailable('The server has too much to do. Nothing was done. Try again.', 1));
    }
    if (res.destroyed) return;
    const operation = api.services.runningOperations.begin(`reading a request (${req.method ?? 'GET'})`);
    res.once('close', operation.end);
    await api.answer(req, res, operation);
  }

  async function ready(res: ServerResponse): Promise<void> {
    if (!api || !isReady) return respond(res, 503, { status: 'not ready' });
    try {
      await api.checkReady();
      respond(res, 200, { status: 'ready' });
    } catch (error) {
      logger.warn({ err: error }, 'not ready');
      respond(res, 503, { status: 'not ready' });
    }
  }

  async function upgrade(
    { sockets, allowsOrigin }: ReturnType<typeof openApi>,
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const isAllowed = isOwnOrigin(req) || (await allowsOrigin(req.headers.origin ?? ''));
    if (!isAllowed) refuse(socket, '403 Forbidden');
    else if (accepted.isClosed) refuse(socket, '503 Service Unavailable', 'Retry-After: 1\r\n');
    else sockets.upgrade(req, socket, head);
  }

  const listener = new Listener(
    {
      connection: () => entrance.connected(),
      request(req, res) {
        handle(req, res).catch((error: unknown) => {
          logger.error({ err: error }, 'could not answer a request');
          if (!res.headersSent) respond(res, 500, { error: 'Internal error.' });
          else res.destroy();
        });
      },
      upgrade(req, socket, head) {
        if (pathOf(req) !== GRAPHQL_PATH) refuse(socket, '404 Not Found');
        else if (!api || accepted.isClosed) refuse(socket, '503 Service Unavailable', 'Retry-After: 1\r\n');
        else void upgrade(api, req, socket, head);
      },
    },
    // As long as a WebSocket may take to answer a ping.
    { strangers, idleMs: 2 * keepAliveSeconds * 1000, isTimedApart: (req) => isUpload(req.method, pathOf(req)) },
  );
  const url = await listener.listen(options.port, options.host);

  const drain = () => {
    isReady = false;
    listener.drain();
  };
  const stopAccepting = () => {
    drain();
    accepted.close();
  };
  return {
    url,
    accepted,
    serve: (apiOptions) => void (api = openApi(apiOptions)),
    drain,
    stopAccepting,
    async close() {
      stopAccepting();
      await api?.sockets.close();
      await listener.close();
    },
  };
}

function signIn(localSignIn: LocalSignIn | null, req: IncomingMessage, res: ServerResponse): void {
  res.setHeader('Cache-Control', 'no-store');
  if (req.method !== 'POST') return respond(res, 405, { error: 'Send the token of a link by POST.' });
  const session = localSignIn?.exchange(req);
  if (session) respond(res, 200, { session });
  else respond(res, 401, { error: 'The link is not, or no longer, good. Print another: npm run sign-in' });
}

/** The path of a request without its query. Anything malformed matches no route. */
function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}

/** The page of GraphiQL has inline scripts. No other page may frame it. */
const securityHeaders = [
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Content-Security-Policy', "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"],
] as const;

/** Whether a request comes from a program, which names no origin, or from a page of this server. */
function isOwnOrigin({ headers: { origin, host } }: IncomingMessage): boolean {
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}

function respond(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

/** The same answer as a refusal by the API itself. */
function unavailable(res: ServerResponse, { message, extensions }: ReturnType<typeof serviceUnavailable>): void {
  const { code, retryAfter } = extensions;
  res.setHeader('Retry-After', String(retryAfter));
  respond(res, 503, { errors: [{ message, extensions: { code, retryAfter } }] });
}

function redirect(res: ServerResponse, location: string): void {
  res.writeHead(302, { Location: location }).end();
}
