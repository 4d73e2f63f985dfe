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

/**
 * What arrives on a WebSocket, counted in bytes. Ends a socket whose peer, before it is acknowledged, sends too many bytes or takes
 * too long, or who later sends more than may be held. Framing does not matter.
 */
export class Incoming {
  private readonly socket: WebSocket;
  private readonly raw: Duplex;
  private ofStranger = 0;
  private begin: (() => Arrival) | null = null;
  private arrival: Arrival | null = null;
  /** Until the acknowledgement. */
  private timer: NodeJS.Timeout | null;
  private isRefused = false;

  constructor(socket: WebSocket, raw: Duplex) {
    this.socket = socket;
    this.raw = raw;
    this.timer = setTimeout(() => socket.terminate(), STRANGER_MS);
    const forget = (data: Buffer) => this.arrival?.remove(data.length + CONTROL_HEADER);
    socket.on('ping', forget);
    socket.on('pong', forget);
    raw.on('data', (chunk: Buffer) => this.count(chunk));
    raw.once('close', () => {
      this.stopWaiting();
      this.arrival?.end();
    });
  }

  /** Lifts the limits for peers that are not yet acknowledged. Each message that arrives from now on is counted by itself. */
  trust(begin: () => Arrival): void {
    this.stopWaiting();
    this.begin = begin;
    this.arrival = begin();
  }

  /** The arrival of the message that is now whole. Null before the acknowledgement. */
  whole(): Arrival | null {
    const whole = this.arrival;
    this.arrival = this.begin?.() ?? null;
    return whole;
  }

  /** Reads nothing more, and ends the connection soon, whatever the peer does. Harmless to repeat. */
  refuse(code: number, reason: string): void {
    const { socket, raw } = this;
    if (this.isRefused) return;
    this.isRefused = true;
    // What still arrives is thrown away.
    raw.removeAllListeners('data').resume();
    // Who reads nothing would not read the reason either.
    if (raw.writableLength > 0) return socket.terminate();
    socket.close(code, reason);
    raw.end();
    const giveUp = setTimeout(() => raw.destroy(), LAST_WORD_MS);
    raw.once('close', () => clearTimeout(giveUp));
  }

  private count({ length }: Buffer): void {
    if (this.arrival) {
      if (this.arrival.add(length)) this.refuse(CLOSE_TRY_LATER, 'TOO_MUCH_AT_A_TIME');
      return;
    }
    this.ofStranger += length;
    if (this.ofStranger > MAX_BYTES_OF_STRANGERS) this.refuse(CLOSE_TOO_BIG, 'Too much before the acknowledgement');
  }

  private stopWaiting(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }
}
