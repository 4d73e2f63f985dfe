import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Authenticator } from './access/authenticate.ts';
import type { Connections } from './access/connections.ts';
import type { RateLimits } from './access/rate-limits.ts';
import { StartupError } from './errors.ts';
import type { Services } from './graphql/context.ts';
import { createGraphQLServer, GRAPHQL_PATH } from './graphql/http.ts';
import { createWebSockets } from './graphql/websocket-operations.ts';
import type { Logger } from './logger.ts';

export interface ServerOptions {
  services: Services;
  authenticator: Authenticator;
  allowedOrigins: readonly string[];
  connections: Connections;
  rateLimits: RateLimits;
  introspection: boolean;
  maxSubscriptionsPerConnection: number;
  keepAliveSeconds: number;
  logger: Logger;
  /** Throws when the server cannot do its work. */
  checkReady: () => Promise<void>;
}

export interface HttpServer {
  /** Listens; returns the address as a URL. Throws `StartupError` when it cannot. */
  listen(port: number, host: string): Promise<string>;
  /** Takes no more work; streams that run go on. */
  stopAccepting(): void;
  /** Ends the sockets and streams. */
  close(): Promise<void>;
}

/** The API, over HTTP, SSE and WebSocket on one port, and the two health checks. */
export function createHttpServer(options: ServerOptions): HttpServer {
  const { services, authenticator, allowedOrigins, keepAliveSeconds, logger } = options;
  const yoga = createGraphQLServer({
    services,
    logger,
    connections: options.connections,
    rateLimits: options.rateLimits,
    introspection: options.introspection,
    keepAliveSeconds,
    allowedOrigins,
    graphiqlSignsIn: authenticator.signsLocalPagesIn,
    authenticate: (req) => authenticator.authenticate(req),
  });
  const sockets = createWebSockets({
    services,
    logger,
    connections: options.connections,
    rateLimits: options.rateLimits,
    introspection: options.introspection,
    maxSubscriptions: options.maxSubscriptionsPerConnection,
    keepAliveSeconds,
    authenticate: (req, credential) => authenticator.authenticate(req, credential),
  });
  let accepting = true;

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    for (const [name, value] of securityHeaders) res.setHeader(name, value);
    if (!URL.canParse(`http://${req.headers.host ?? 'localhost'}`)) {
      return respond(res, 400, { error: 'The Host header is not well-formed.' });
    }
    const path = pathOf(req);
    if (path === '/health') return respond(res, 200, { status: 'ok' });
    if (path === '/ready') return ready(res);
    if (path === '/') return redirect(res, GRAPHQL_PATH);
    if (path !== GRAPHQL_PATH)
      return respond(res, 404, { error: `There is nothing here. The API is at ${GRAPHQL_PATH}.` });
    if (!accepting) return respond(res, 503, { error: 'The server is shutting down. Try again.' });
    if (req.method === 'GET' && req.headers.accept?.includes('text/html')) {
      const cookie = authenticator.localCookie(req);
      if (cookie) res.setHeader('Set-Cookie', cookie);
    }
    const operation = services.operations.begin(`reading a request (${req.method ?? 'GET'})`);
    res.once('close', operation.end);
    await yoga(req, res, { req, res, operation });
  }

  async function ready(res: ServerResponse): Promise<void> {
    try {
      if (!accepting) throw new Error('shutting down');
      await options.checkReady();
      respond(res, 200, { status: 'ready' });
    } catch (error) {
      logger.warn({ err: error }, 'not ready');
      respond(res, 503, { status: 'not ready' });
    }
  }

  const server = createServer((req, res) => {
    handle(req, res).catch((error: unknown) => {
      logger.error({ err: error }, 'could not answer a request');
      if (!res.headersSent) respond(res, 500, { error: 'Internal error.' });
      else res.destroy();
    });
  });
  // A peer that takes nothing of what waits for it, for as long as a WebSocket has to answer a probe.
  server.setTimeout(2 * keepAliveSeconds * 1000, (socket) => {
    if (socket.writableLength > 0) socket.destroy();
  });
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A socket that breaks before it is upgraded is nobody's concern.
    socket.on('error', () => socket.destroy());
    const path = pathOf(req);
    if (path !== GRAPHQL_PATH) refuse(socket, '404 Not Found');
    else if (!accepting) refuse(socket, '503 Service Unavailable');
    else if (!isAllowedOrigin(req, allowedOrigins)) refuse(socket, '403 Forbidden');
    else sockets.upgrade(req, socket, head);
  });

  return {
    listen: (port, host) => listen(server, port, host),
    stopAccepting() {
      accepting = false;
    },
    async close() {
      await sockets.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** Without the query. Anything that is no path leads nowhere. */
function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}

/** GraphiQL runs scripts that stand in its page; nobody else may frame it. */
const securityHeaders = [
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Content-Security-Policy', "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"],
] as const;

function listen(server: Server, port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new StartupError(cannotListen(error, port, host)));
    });
    server.listen(port, host, () => {
      const address: string | AddressInfo | null = server.address();
      const actual = typeof address === 'object' && address ? address.port : port;
      resolve(`http://${host.includes(':') ? `[${host}]` : host}:${actual}`);
    });
  });
}

function cannotListen(error: NodeJS.ErrnoException, port: number, host: string): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is in use. Stop what uses it, or set PORT to another one (0 takes any free one).`;
    case 'EACCES':
      return `Port ${port} on ${host} may not be used by this account. Set PORT to one above 1023.`;
    default:
      return `Cannot listen on ${host}, port ${port}: ${error.message}. Check HOST and PORT.`;
  }
}

/** Requests without an origin come from programs, which no page can make. */
function isAllowedOrigin(req: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = req.headers;
  return origin === undefined || allowed.includes(origin) || (URL.canParse(origin) && new URL(origin).host === host);
}

function respond(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

function redirect(res: ServerResponse, location: string): void {
  res.writeHead(302, { Location: location }).end();
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
