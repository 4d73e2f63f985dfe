import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CloseCode, handleProtocols, type Server } from 'graphql-ws';
import { WebSocket, WebSocketServer } from 'ws';
import type { Logger } from '../logger.ts';

/** Closes a socket whose peer does not read or is gone. A client may reconnect and continue from its cursor. */
const CLOSE_NOT_READING = 4413;
/** The standard's "message too big". */
const CLOSE_TOO_BIG = 1009;
/** The most bytes that may wait in this process for one peer to read them. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

/** The most bytes that a peer may send before its connection is acknowledged. */
const MAX_BYTES_OF_STRANGERS = 16 * 1024;
/** How long a peer may take until the acknowledgement, and a refused socket until it is closed, in milliseconds. */
const STRANGER_MS = 10_000;

/** How long peers may take to answer a close frame when the server shuts down, in milliseconds. */
const CLOSING_MS = 1000;

/** What the protocol implementation knows of its connection. */
export interface SocketExtra {
  socket: WebSocket;
  /** The connection below the WebSocket. */
  raw: Duplex;
  request: IncomingMessage;
  /** Lifts the limits for peers that are not yet acknowledged. */
  trust: () => void;
  /** The longest message that this peer may send, if shorter than the general limit. */
  maxMessageBytes?: number;
}

export interface Sockets {
  /** Takes over a connection that asks for an upgrade. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes every socket with a code that makes clients reconnect. */
  close(): Promise<void>;
}

/**
 * WebSockets that speak the protocol. Each is pinged once an interval, and dropped if it has not answered by the next ping.
 * Sending resolves when the system has taken the frame, so that a stream waits for its reader.
 */
export function openSockets(
  protocol: Server<SocketExtra>,
  options: { logger: Logger; maxPayloadBytes: number; keepAliveSeconds: number },
): Sockets {
  const { logger, keepAliveSeconds } = options;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: options.maxPayloadBytes,
    handleProtocols,
    // However many messages arrive together, others have their turn between them.
    allowSynchronousEvents: false,
  });
  /** Functions that end the streams of each socket. */
  const streams = new Map<WebSocket, (code: number, reason: string) => void>();
  const silent = new Set<WebSocket>();

  const timer = setInterval(() => {
    for (const [socket, end] of streams) {
      if (silent.has(socket)) {
        // The close frame waits behind unread data, until `ws` gives up after 30 seconds. The streams end at once.
        end(CLOSE_NOT_READING, 'NOT_READING');
        socket.close(CLOSE_NOT_READING, 'NOT_READING');
      } else {
        silent.add(socket);
        socket.ping();
      }
    }
  }, keepAliveSeconds * 1000);

  function serve(socket: WebSocket, raw: Duplex, request: IncomingMessage): void {
    socket.on('pong', () => void silent.delete(socket));
    // The frame is too large or broken; `ws` closes the socket with the right code.
    socket.on('error', (error) => logger.debug({ err: error }, 'a WebSocket broke'));
    const extra: SocketExtra = { socket, raw, request, trust: limitStranger(socket, raw) };
    const send = (data: string) =>
      new Promise<void>((resolve, reject) => {
        if (socket.readyState !== WebSocket.OPEN) return resolve();
        if (socket.bufferedAmount > MAX_WAITING_BYTES) {
          socket.terminate();
          return resolve();
        }
        // A socket that broke meanwhile ends its streams itself.
        socket.send(data, (error) => (error && socket.readyState === WebSocket.OPEN ? reject(error) : resolve()));
      });
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send,
        close: (code, reason) => socket.close(code, reason),
        // Does not echo the ping's payload, which may be anything.
        onPing: () => send('{"type":"pong"}'),
        onMessage: (take) =>
          socket.on('message', (data) => {
            if (sizeOf(data) > (extra.maxMessageBytes ?? Infinity))
              return socket.close(CLOSE_TOO_BIG, 'Message too big');
            take(textOf(data)).catch((error: unknown) => {
              logger.error({ err: error }, 'could not handle a message on a WebSocket');
              socket.close(CloseCode.InternalServerError, 'Internal error');
            });
          }),
      },
      extra,
    );
    const end = (code: number, reason: string) => {
      silent.delete(socket);
      if (streams.delete(socket)) void closed(code, reason);
    };
    streams.set(socket, end);
    socket.once('close', (code, reason) => end(code, reason.toString()));
  }

  return {
    upgrade(req, raw, head) {
      sockets.handleUpgrade(req, raw, head, (socket) => {
        serve(socket, raw, req);
      });
    },
    async close() {
      clearInterval(timer);
      for (const socket of sockets.clients) socket.close(1001, 'Going away');
      const late = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, CLOSING_MS);
      await new Promise<void>((resolve) => sockets.close(() => resolve()));
      clearTimeout(late);
    },
  };
}

function sizeOf(data: Buffer | ArrayBuffer | Buffer[]): number {
  return Array.isArray(data) ? data.reduce((sum, { length }) => sum + length, 0) : data.byteLength;
}

/** Ends a socket whose peer, before it is acknowledged, sends too many bytes or takes too long. Framing does not matter. */
function limitStranger(socket: WebSocket, raw: Duplex): () => void {
  let received = 0;
  const count = (chunk: Buffer) => {
    received += chunk.length;
    if (received <= MAX_BYTES_OF_STRANGERS) return;
    raw.off('data', count);
    socket.close(CLOSE_TOO_BIG, 'Too much before the acknowledgement');
    raw.end(() => raw.destroy());
  };
  const trust = () => {
    raw.off('data', count);
    clearTimeout(timer);
  };
  const timer = setTimeout(() => socket.terminate(), STRANGER_MS);
  raw.on('data', count);
  raw.once('close', trust);
  return trust;
}

function textOf(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return (Buffer.isBuffer(data) ? data : Buffer.from(data)).toString();
}
