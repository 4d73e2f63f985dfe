import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Arrival } from './arrivals.ts';

/** The standard's "message too big". */
export const CLOSE_TOO_BIG = 1009;
/** The standard's "try again later". */
export const CLOSE_TRY_LATER = 1013;

/** The most bytes that a peer may send before its connection is acknowledged. */
const MAX_BYTES_OF_STRANGERS = 16 * 1024;
/** How long a peer may take until the acknowledgement, in milliseconds. */
const STRANGER_MS = 10_000;

/** Bytes of the header of a peer's ping or pong. */
const CONTROL_HEADER = 6;

/** What arrives on a WebSocket, counted in bytes. */
export interface Incoming {
  /** Lifts the limits for peers that are not yet acknowledged. Each message that arrives from now on is counted by itself. */
  readonly trust: (begin: () => Arrival) => void;
  /** The arrival of the message that is now whole. Null before the acknowledgement. */
  whole(): Arrival | null;
}

/**
 * Ends a socket whose peer, before it is acknowledged, sends too many bytes or takes too long, or who later sends more than may
 * be held. Framing does not matter.
 */
export function limitIncoming(socket: WebSocket, raw: Duplex): Incoming {
  let ofStranger = 0;
  let begin: (() => Arrival) | null = null;
  let arrival: Arrival | null = null;
  const count = (chunk: Buffer) => {
    if (arrival) {
      if (arrival.add(chunk.length)) refuse(CLOSE_TRY_LATER, 'TOO_MUCH_AT_A_TIME');
      return;
    }
    ofStranger += chunk.length;
    if (ofStranger > MAX_BYTES_OF_STRANGERS) refuse(CLOSE_TOO_BIG, 'Too much before the acknowledgement');
  };
  const refuse = (code: number, reason: string) => {
    raw.off('data', count);
    // Who reads nothing would not read the reason either.
    if (raw.writableLength > 0) return socket.terminate();
    socket.close(code, reason);
    raw.end(() => raw.destroy());
  };
  const timer = setTimeout(() => socket.terminate(), STRANGER_MS);
  const forget = (data: Buffer) => arrival?.remove(data.length + CONTROL_HEADER);
  socket.on('ping', forget);
  socket.on('pong', forget);
  raw.on('data', count);
  raw.once('close', () => {
    clearTimeout(timer);
    arrival?.end();
  });
  return {
    trust(start) {
      clearTimeout(timer);
      begin = start;
      arrival = start();
    },
    whole() {
      const whole = arrival;
      arrival = begin?.() ?? null;
      return whole;
    },
  };
}
