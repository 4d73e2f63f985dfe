import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CloseCode, type WebSocket as ProtocolSocket } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Viewer } from '../access/viewer.ts';
import type { Logger } from '../logger.ts';
import { CLOSE_TOO_BIG, Incoming } from './websocket-incoming.ts';

/** The most bytes that may wait in this process for one peer to read them. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

/** The other end of a WebSocket. An idle one costs memory for as long as it stays: it keeps nothing that is not needed any more. */
export class Peer implements ProtocolSocket {
  readonly socket: WebSocket;
  /** The connection below the WebSocket. */
  readonly raw: Duplex;
  readonly incoming: Incoming;
  /** What asked for the WebSocket. Null once the peer is known. */
  request: IncomingMessage | null;
  /** Undefined until the peer is known, and after its credential has ended. */
  viewer?: Viewer;
  /** Stops counting the connection. */
  release?: () => void;
  /** The longest message that this peer may send, if shorter than the general limit. */
  maxMessageBytes?: number;
  private readonly logger: Logger;

  constructor(socket: WebSocket, raw: Duplex, request: IncomingMessage, logger: Logger) {
    this.socket = socket;
    this.raw = raw;
    this.request = request;
    this.logger = logger;
    this.incoming = new Incoming(socket, raw);
    socket.on('error', (error) => {
      logger.debug({ err: error }, 'a WebSocket broke');
      // The frame is too large or broken: `ws` has closed the socket with the right code, which this one does not replace.
      this.incoming.refuse(CloseCode.InternalServerError, 'Internal error');
    });
  }

  get protocol(): string {
    return this.socket.protocol;
  }

  /** Resolves when the system has taken the frame, so that a stream waits for its reader. */
  send(data: string): Promise<void> {
    const { socket } = this;
    return new Promise((resolve) => {
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
  }

  close(code: number, reason: string): void {
    this.socket.close(code, reason);
  }

  /** Does not echo the ping's payload, which may be anything. */
  onPing(): Promise<void> {
    return this.send('{"type":"pong"}');
  }

  onMessage(take: (data: string) => Promise<void>): void {
    this.socket.on('message', (data) => {
      const arrival = this.incoming.whole();
      if (sizeOf(data) > (this.maxMessageBytes ?? Infinity)) {
        return this.incoming.refuse(CLOSE_TOO_BIG, 'Message too big');
      }
      take(read(textOf(data)))
        .catch((error: unknown) => {
          this.logger.error({ err: error }, 'could not handle a message on a WebSocket');
          this.socket.close(CloseCode.InternalServerError, 'Internal error');
        })
        .finally(() => arrival?.end());
    });
  }
}

/**
 * A message as the protocol takes it. It keeps what it is given for as long as the operation runs, and takes what is read already,
 * though its type does not say so: a text would hold all of the query. What cannot be read stays a text, which it refuses.
 */
function read(text: string): string {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === 'string' ? text : (message as string);
  } catch {
    return text;
  }
}

function sizeOf(data: Buffer | ArrayBuffer | Buffer[]): number {
  return Array.isArray(data) ? data.reduce((sum, { length }) => sum + length, 0) : data.byteLength;
}

function textOf(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return (Buffer.isBuffer(data) ? data : Buffer.from(data)).toString();
}
