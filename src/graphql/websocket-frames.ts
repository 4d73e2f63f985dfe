import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { handleProtocols, type Server } from 'graphql-ws';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Logger } from '../logger.ts';
import { Peer } from './websocket-peer.ts';

/** Closes a socket whose peer does not read or is gone. A client may reconnect and continue from its cursor. */
const CLOSE_NOT_READING = 4413;
/** How long peers may take to answer a close frame when the server shuts down, in milliseconds. */
const CLOSING_MS = 1000;

export interface Sockets {
  /** Takes over a connection that asks for an upgrade. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes every socket with a code that makes clients reconnect. */
  close(): Promise<void>;
}

/**
 * WebSockets that speak the protocol. Each is pinged once an interval, and dropped if it has not answered by the next ping.
 */
export function openSockets(
  protocol: Server<Peer>,
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

  function serve(raw: Duplex, request: IncomingMessage, socket: WebSocket): void {
    const peer = new Peer(socket, raw, request, logger);
    const closed = protocol.opened(peer, peer);
    const end = (code: number, reason: string) => {
      silent.delete(socket);
      if (streams.delete(socket)) void closed(code, reason);
    };
    streams.set(socket, end);
    socket.on('pong', () => void silent.delete(socket));
    socket.once('close', (code, reason) => end(code, reason.toString()));
  }

  return {
    upgrade(req, raw, head) {
      sockets.handleUpgrade(req, raw, head, (socket) => serve(raw, req, socket));
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
