import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CloseCode, handleProtocols, type Server } from 'graphql-ws';
import { WebSocket, WebSocketServer } from 'ws';
import type { Logger } from '../logger.ts';
import { CLOSE_TOO_BIG, type Incoming, limitIncoming } from './websocket-incoming.ts';

/** Closes a socket whose peer does not read or is gone. A client may reconnect and continue from its cursor. */
const CLOSE_NOT_READING = 4413;
/** The most bytes that may wait in this process for one peer to read them. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

/** How long peers may take to answer a close frame when the server shuts down, in milliseconds. */
const CLOSING_MS = 1000;

/** What the protocol implementation knows of its connection. */
export interface SocketExtra {
  socket: WebSocket;
  /** The connection below the WebSocket. */
  raw: Duplex;
  request: IncomingMessage;
  trust: Incoming['trust'];
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

  function serve(socket: WebSocket, raw: Duplex, request: IncomingMessage, incoming: Incoming): void {
    socket.on('pong', () => void silent.delete(socket));
    socket.on('error', (error) => {
      logger.debug({ err: error }, 'a WebSocket broke');
      // The frame is too large or broken: `ws` has closed the socket with the right code, which this one does not replace.
      incoming.refuse(CloseCode.InternalServerError, 'Internal error');
    });
    const extra: SocketExtra = { socket, raw, request, trust: incoming.trust };
    const send = (data: string) =>
      new Promise<void>((resolve) => {
        if (socket.readyState !== WebSocket.OPEN) return resolve();
        if (socket.bufferedAmount > MAX_WAITING_BYTES) {
          socket.terminate();
          return resolve();
        }
        socket.send(data, (error) => {
          // The peer has gone away, which is no fault. The close of the socket ends its streams.
          if (error) socket.terminate();
          resolve();
        });
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
            const arrival = incoming.whole();
            if (sizeOf(data) > (extra.maxMessageBytes ?? Infinity))
              return incoming.refuse(CLOSE_TOO_BIG, 'Message too big');
            take(textOf(data))
              .catch((error: unknown) => {
                logger.error({ err: error }, 'could not handle a message on a WebSocket');
                socket.close(CloseCode.InternalServerError, 'Internal error');
              })
              .finally(() => arrival?.end());
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
        serve(socket, raw, req, limitIncoming(socket, raw));
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

function textOf(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return (Buffer.isBuffer(data) ? data : Buffer.from(data)).toString();
}
