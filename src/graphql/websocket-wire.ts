import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { type Wire, WIRE_BYTES } from './delivery/wire.ts';

/** A result of more bytes than this is not copied for each of its subscribers. */
const COPIED_BYTES = 4096;

const end = Buffer.from('}');

/**
 * The results of one subscription on a WebSocket, in the messages of the protocol. Whole frames may be written past `ws`: it does not
 * compress, so it writes whole frames as well, and at once.
 */
export class SocketWire implements Wire {
  private readonly socket: WebSocket;
  private readonly raw: Duplex;
  /** What a message begins with, up to its result. */
  private readonly head: Buffer;

  constructor({ socket, raw }: { socket: WebSocket; raw: Duplex }, id: string) {
    this.socket = socket;
    this.raw = raw;
    const head = `{"id":${JSON.stringify(id)},"type":"next","payload":`;
    // Memory of its own: a slice of the pool would keep all of its block for as long as the subscription lives.
    this.head = Buffer.allocUnsafeSlow(Buffer.byteLength(head));
    this.head.write(head);
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  get isFull(): boolean {
    return this.raw.writableLength > WIRE_BYTES;
  }

  write(results: readonly Buffer[]): void {
    const { raw } = this;
    const [only] = results;
    if (only && results.length === 1 && isCopied(only)) return void raw.write(this.frame(only));
    if (results.every(isCopied)) return void raw.write(Buffer.concat(results.map((result) => this.frame(result))));
    raw.cork();
    for (const result of results) {
      if (isCopied(result)) raw.write(this.frame(result));
      else for (const part of [this.begin(result.length, 0), result, end]) raw.write(part);
    }
    raw.uncork();
  }

  drained(): Promise<void> {
    const { raw } = this;
    if (raw.writableLength === 0 || raw.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = () => {
        raw.off('drain', settle);
        raw.off('close', settle);
        resolve();
      };
      raw.on('drain', settle);
      raw.on('close', settle);
    });
  }

  /** The frame of a result. */
  private frame(result: Buffer): Buffer {
    const rest = result.length + end.length;
    const frame = this.begin(result.length, rest);
    result.copy(frame, frame.length - rest);
    end.copy(frame, frame.length - end.length);
    return frame;
  }

  /** What the frame of a result of this length begins with, up to the result, and after that so much room. */
  private begin(resultLength: number, room: number): Buffer {
    const { head } = this;
    const length = head.length + resultLength + end.length;
    const wide = length < 126 ? 0 : length < 65_536 ? 2 : 8;
    const frame = Buffer.allocUnsafe(2 + wide + head.length + room);
    // A whole message of text.
    frame[0] = 0x81;
    frame[1] = wide === 0 ? length : wide === 2 ? 126 : 127;
    if (wide === 2) frame.writeUInt16BE(length, 2);
    if (wide === 8) frame.writeBigUInt64BE(BigInt(length), 2);
    head.copy(frame, 2 + wide);
    return frame;
  }
}

function isCopied({ length }: Buffer): boolean {
  return length <= COPIED_BYTES;
}
