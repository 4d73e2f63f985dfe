import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../errors.ts';
import { Roster } from '../roster.ts';
import type { Strangers } from './strangers.ts';

/** How long a request may take to arrive, in milliseconds: its headers, and after them its body. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
/** How often these limits are checked, in milliseconds. */
const CHECK_MS = 2000;
/** So many requests of one connection may wait for their responses. Who sends more is not listened to any longer. */
const MAX_PIPELINED = 20;
/** How long the rest of a request that is answered already may take, in milliseconds: meanwhile its peer can read the answer. */
const REST_MS = 1000;
/** How many connections may wait to be accepted. A peer beyond them tries again after seconds. The system may allow fewer. */
const BACKLOG = 4096;
/** How long responses may take to reach their readers when the server closes, in milliseconds. */
const CLOSING_MS = 1000;

export interface Handlers {
  connection(): void;
  request(req: IncomingMessage, res: ServerResponse): void;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface ListenerOptions {
  strangers: Strangers;
  /** How long a connection may be idle, or a peer may read nothing of the data that waits for it, in milliseconds. */
  idleMs: number;
  /** Whether a request is limited by its handler, for how long its body may take to arrive. */
  isTimedApart: (req: IncomingMessage) => boolean;
}

/** The port with its connections, and how each of them ends. Handlers deal with the requests. */
export class Listener {
  private readonly server: Server;
  private readonly responses = new Roster<ServerResponse>();
  private readonly pipelines = new WeakMap<Socket, Roster<ServerResponse>>();
  private draining = false;

  constructor(handlers: Handlers, { strangers, idleMs, isTimedApart }: ListenerOptions) {
    const limits = { headersTimeout: HEADERS_MS, requestTimeout: 0, connectionsCheckingInterval: CHECK_MS };
    this.server = createServer(limits, (req, res) => {
      const pipeline = this.pipelines.get(req.socket);
      // What had arrived in one piece is told of also after the end.
      if (!pipeline || req.socket.destroyed) return;
      if (pipeline.size >= MAX_PIPELINED) return void req.socket.destroy();
      const leaves = [this.responses.add(res), pipeline.add(res)];
      res.once('close', () => leaves.forEach((leave) => leave()));
      res.once('finish', () => endUnlessWhole(req));
      if (this.draining) res.setHeader('Connection', 'close');
      if (!isTimedApart(req)) endUnlessInTime(req);
      handlers.request(req, res);
    });
    this.server.on('connection', (socket: Socket) => {
      handlers.connection();
      if (strangers.admit(socket)) return this.watch(socket);
      socket.on('error', () => undefined);
      refuse(socket, '503 Service Unavailable', 'Retry-After: 1\r\n');
    });
    // With a listener, Node does not close idle connections itself. A connection that waits for its response is not idle.
    this.server.setTimeout(idleMs, (socket) => {
      const waits = [...this.responses].some((res) => res.socket === socket);
      if (!waits || socket.writableLength > 0) socket.destroy();
    });
    this.server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      // Errors of a socket that breaks before its upgrade can be ignored.
      socket.on('error', () => socket.destroy());
      handlers.upgrade(req, socket, head);
    });
  }

  private watch(socket: Socket): void {
    const pipeline = new Roster<ServerResponse>();
    this.pipelines.set(socket, pipeline);
    socket.once('close', () => {
      // Node itself tells only the response whose turn it is.
      for (const res of [...pipeline]) if (!res.socket) res.emit('close');
    });
  }

  /** Returns the address as a URL. Throws `StartupError` if it cannot listen there. */
  listen(port: number, host: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new StartupError(cannotListen(error, port, host)));
      });
      this.server.listen({ port, host, backlog: BACKLOG }, () => {
        const address = this.server.address();
        const actual = typeof address === 'object' && address ? address.port : port;
        resolve(`http://${host.includes(':') ? `[${host}]` : host}:${actual}`);
      });
    });
  }

  /** From now on each connection is closed after its response, so that clients send their next request to another server. */
  drain(): void {
    this.draining = true;
    for (const res of this.responses) if (!res.headersSent) res.setHeader('Connection', 'close');
  }

  /** Lets responses reach their readers, aborts streams, and closes the port. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    // Streams are aborted, not completed: a completed stream would mean that no more events follow.
    for (const res of this.responses) if (isStream(res)) res.destroy();
    const timer = new AbortController();
    await Promise.race([closed, sleep(CLOSING_MS, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
    this.server.closeAllConnections();
    await closed;
  }
}

/** Sends a response on a socket that nothing else writes to, and closes it. */
export function refuse(socket: Duplex, status: string, headers = ''): void {
  socket.end(`HTTP/1.1 ${status}\r\n${headers}Connection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

/** Ends the connection of a request that was answered before it had arrived, and that does not end either. */
function endUnlessWhole(req: IncomingMessage): void {
  const { socket } = req;
  if (req.complete || socket.destroyed) return;
  const timer = setTimeout(() => {
    if (!req.complete) socket.destroy();
  }, REST_MS);
  // Also when the connection ends first.
  req.once('close', () => clearTimeout(timer));
}

/** Ends the connection of a request whose body does not arrive in time. */
function endUnlessInTime(req: IncomingMessage): void {
  const { socket, headers } = req;
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return;
  const timer = setTimeout(() => {
    if (!req.complete) refuse(socket, '408 Request Timeout');
  }, REQUEST_MS);
  const stop = () => clearTimeout(timer);
  req.once('end', stop).once('close', stop);
}

function isStream(res: ServerResponse): boolean {
  return String(res.getHeader('Content-Type') ?? '').startsWith('text/event-stream');
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
