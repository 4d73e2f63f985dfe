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
    const parts = results.flatMap((result) => this.frame(result));
    const [only] = parts;
    if (parts.length === 1) return void this.raw.write(only);
    if (results.every(({ length }) => length <= COPIED_BYTES)) return void this.raw.write(Buffer.concat(parts));
    this.raw.cork();
    for (const part of parts) this.raw.write(part);
    this.raw.uncork();
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

  private frame(result: Buffer): Buffer | Buffer[] {
    const { head } = this;
    const length = head.length + result.length + end.length;
    const wide = length < 126 ? 0 : length < 65_536 ? 2 : 8;
    const copies = result.length <= COPIED_BYTES;
    const begin = 2 + wide + head.length;
    const frame = Buffer.allocUnsafe(copies ? 2 + wide + length : begin);
    // A whole message of text.
    frame[0] = 0x81;
    frame[1] = wide === 0 ? length : wide === 2 ? 126 : 127;
    if (wide === 2) frame.writeUInt16BE(length, 2);
    if (wide === 8) frame.writeBigUInt64BE(BigInt(length), 2);
    head.copy(frame, 2 + wide);
    if (!copies) return [frame, result, end];
    result.copy(frame, begin);
    end.copy(frame, begin + result.length);
    return frame;
  }
}
