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
/** How long a peer that is refused may take to read why, in milliseconds. */
const LAST_WORD_MS = 1000;

/** Bytes of the header of a peer's ping or pong. */
const CONTROL_HEADER = 6;

/** What arrives on a WebSocket, counted in bytes. */
export interface Incoming {
  /** Lifts the limits for peers that are not yet acknowledged. Each message that arrives from now on is counted by itself. */
  readonly trust: (begin: () => Arrival) => void;
  /** The arrival of the message that is now whole. Null before the acknowledgement. */
  whole(): Arrival | null;
  /** Reads nothing more, and ends the connection soon, whatever the peer does. Harmless to repeat. */
  readonly refuse: (code: number, reason: string) => void;
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
  let isRefused = false;
  const refuse = (code: number, reason: string) => {
    if (isRefused) return;
    isRefused = true;
    // What still arrives is thrown away.
    raw.removeAllListeners('data').resume();
    // Who reads nothing would not read the reason either.
    if (raw.writableLength > 0) return socket.terminate();
    socket.close(code, reason);
    raw.end();
    const giveUp = setTimeout(() => raw.destroy(), LAST_WORD_MS);
    raw.once('close', () => clearTimeout(giveUp));
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
    refuse,
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
