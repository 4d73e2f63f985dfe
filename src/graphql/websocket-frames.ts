import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CloseCode, handleProtocols, type Server } from 'graphql-ws';
import { WebSocket, WebSocketServer } from 'ws';
import type { Logger } from '../logger.ts';

/** Closes a socket whose peer does not read, or is gone. It may reconnect and go on from its cursor. */
const CLOSE_NOT_READING = 4413;

/** So many bytes may wait in this process for one peer to read them. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

/** What the protocol knows of its connection. */
export interface SocketExtra {
  socket: WebSocket;
  request: IncomingMessage;
}

export interface Sockets {
  /** Takes over a connection that asks for an upgrade. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes every socket with a code that makes clients reconnect. */
  close(): Promise<void>;
}

/**
 * WebSockets that speak the protocol, each probed once an interval and dropped when it has not answered by the next probe.
 * Sending resolves when the system has taken the frame, so that a stream waits for its reader.
 */
export function openSockets<E extends SocketExtra>(
  protocol: Server<E>,
  options: { logger: Logger; maxPayloadBytes: number; keepAliveSeconds: number; extra: (base: SocketExtra) => E },
): Sockets {
  const { logger, keepAliveSeconds } = options;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: options.maxPayloadBytes, handleProtocols });
  /** What ends the streams of each socket. */
  const streams = new Map<WebSocket, (code: number, reason: string) => void>();
  const silent = new Set<WebSocket>();

  const timer = setInterval(() => {
    for (const [socket, end] of streams) {
      if (silent.has(socket)) {
        // The code waits behind what was not read, until `ws` gives up on it after 30 seconds; the streams do not.
        end(CLOSE_NOT_READING, 'NOT_READING');
        socket.close(CLOSE_NOT_READING, 'NOT_READING');
      } else {
        silent.add(socket);
        socket.ping();
      }
    }
  }, keepAliveSeconds * 1000);

  sockets.on('connection', (socket: WebSocket, request: IncomingMessage) => {
    socket.on('pong', () => void silent.delete(socket));
    // A frame that is too large or broken; `ws` closes the socket with the code for it.
    socket.on('error', (error) => logger.debug({ err: error }, 'a WebSocket broke'));
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (data) =>
          new Promise((resolve, reject) => {
            if (socket.readyState !== WebSocket.OPEN) return resolve();
            if (socket.bufferedAmount > MAX_WAITING_BYTES) {
              socket.terminate();
              return resolve();
            }
            // A socket that broke meanwhile ends its streams by itself.
            socket.send(data, (error) => (error && socket.readyState === WebSocket.OPEN ? reject(error) : resolve()));
          }),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (take) =>
          socket.on('message', (data) => {
            take(textOf(data)).catch((error: unknown) => {
              logger.error({ err: error }, 'could not handle a message on a WebSocket');
              socket.close(CloseCode.InternalServerError, 'Internal error');
            });
          }),
      },
      options.extra({ socket, request }),
    );
    const end = (code: number, reason: string) => {
      silent.delete(socket);
      if (streams.delete(socket)) void closed(code, reason);
    };
    streams.set(socket, end);
    socket.once('close', (code, reason) => end(code, reason.toString()));
  });

  return {
    upgrade(req, socket, head) {
      sockets.handleUpgrade(req, socket, head, (ws) => sockets.emit('connection', ws, req));
    },
    async close() {
      clearInterval(timer);
      for (const socket of sockets.clients) socket.close(1001, 'Going away');
      await new Promise<void>((resolve) => sockets.close(() => resolve()));
    },
  };
}

function textOf(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return (Buffer.isBuffer(data) ? data : Buffer.from(data)).toString();
}
