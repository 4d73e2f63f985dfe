import { createHash } from 'node:crypto';

/** WebSocket frames (RFC 6455) by hand: unfragmented, uncompressed, below 64 KiB. */
export const opcodes = { text: 1, close: 8, ping: 9, pong: 10 } as const;

/** A frame of a server, from parts that are joined. */
export function encodeFrame(opcode: number, ...parts: Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const long = length > 125;
  const frame = Buffer.allocUnsafe((long ? 4 : 2) + length);
  frame[0] = 0x80 | opcode;
  frame[1] = long ? 126 : length;
  if (long) frame.writeUInt16BE(length, 2);
  let offset = frame.length - length;
  for (const part of parts) offset += part.copy(frame, offset);
  return frame;
}

/** A frame of a client. Its mask is of zeros, which leaves the payload as it is. */
export function encodeClientFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = length > 125 ? [0x80 | opcode, 0x80 | 126, length >> 8, length & 0xff] : [0x80 | opcode, 0x80 | length];
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]);
}

/** What a server answers to this `Sec-WebSocket-Key`. */
export function acceptKey(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** Finds the frames in what a socket receives. Masks are taken to be of zeros. */
export class FrameReader {
  private rest: Buffer | null = null;
  private readonly onFrame: (opcode: number, payload: Buffer) => void;

  constructor(onFrame: (opcode: number, payload: Buffer) => void) {
    this.onFrame = onFrame;
  }

  read(chunk: Buffer): void {
    const data = this.rest ? Buffer.concat([this.rest, chunk]) : chunk;
    let at = 0;
    while (at + 2 <= data.length) {
      const second = data[at + 1] ?? 0;
      const short = second & 0x7f;
      const wide = short === 126 ? 2 : short === 127 ? 8 : 0;
      const start = at + 2 + wide + (second & 0x80 ? 4 : 0);
      if (start > data.length) break;
      const length = wide === 0 ? short : data.readUIntBE(at + 2 + Math.max(0, wide - 6), Math.min(wide, 6));
      if (start + length > data.length) break;
      this.onFrame((data[at] ?? 0) & 0x0f, data.subarray(start, start + length));
      at = start + length;
    }
    // A copy: a part of the chunk would keep all of it.
    this.rest = at < data.length ? Buffer.from(data.subarray(at)) : null;
  }
}

const blank = Buffer.from('\n\n');
const named = Buffer.from('event: next\n');

/** Finds the results in a stream of server-sent events. */
export class EventReader {
  private rest: Buffer | null = null;
  private readonly onResult: (event: Buffer) => void;

  constructor(onResult: (event: Buffer) => void) {
    this.onResult = onResult;
  }

  read(chunk: Buffer): void {
    const data = this.rest ? Buffer.concat([this.rest, chunk]) : chunk;
    let at = 0;
    for (let end = data.indexOf(blank); end >= 0; end = data.indexOf(blank, at)) {
      const event = data.subarray(at, end);
      if (event.indexOf(named) === 0) this.onResult(event);
      at = end + blank.length;
    }
    this.rest = at < data.length ? Buffer.from(data.subarray(at)) : null;
  }
}
