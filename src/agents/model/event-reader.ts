import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { createParser, type EventSourceParser } from 'eventsource-parser';
import { isTurnOver, nextTurn } from '../../turn-of-loop.ts';
import { MAX_BYTES, MAX_EVENT_BYTES, TooMuchError } from './limits.ts';

/** How much is taken apart at once, in bytes, so that what came together does not hold up the rest of the server. */
const SLICE_BYTES = 8 * 1024;

/** How much may wait to be read, in bytes, before no more is taken from the socket. */
const MAX_WAITING_BYTES = 64 * 1024;

/** Reads server-sent events from a socket, as they are asked for: their data, those that came together at once. */
export class EventReader {
  private readonly body: Readable;
  private readonly decoder = new StringDecoder('utf8');
  private readonly parser: EventSourceParser;
  private readonly chunks: Buffer[] = [];
  private waitingBytes = 0;
  private totalBytes = 0;
  private events: string[] = [];
  private isFirst = true;
  private ended = false;
  private fault: Error | null = null;
  private wake: (() => void) | null = null;

  constructor(body: Readable) {
    this.body = body;
    this.parser = createParser({
      maxBufferSize: MAX_EVENT_BYTES,
      onEvent: ({ data }) => this.events.push(data),
      onError: ({ type }) => {
        if (type === 'max-buffer-size-exceeded') throw new TooMuchError();
      },
    });
    if (body.destroyed) this.fail(new Error('The connection was lost before the answer.'));
    body.on('data', (chunk: Buffer) => this.onData(chunk));
    body.on('end', () => {
      this.ended = true;
      this.wake?.();
    });
    body.on('error', (error) => this.fail(error));
    body.on('close', () => this.fail(new Error('The connection was closed in the middle of the answer.')));
  }

  /** The data of the next events, as far as they have come. Throws `TooMuchError`, and when the connection is lost. */
  take(): readonly string[] {
    const slice = this.takeSlice();
    if (slice) this.parse(slice);
    else if (this.fault) throw this.fault;
    if (this.events.length === 0) return [];
    const { events } = this;
    this.events = [];
    return events;
  }

  /** Whether all has been taken. */
  get isOver(): boolean {
    return this.ended && this.chunks.length === 0;
  }

  /** Waits until there is more to take, or will be no more, and lets other work in. May resolve early. */
  arrival(): Promise<void> | undefined {
    if (isTurnOver()) return nextTurn();
    if (this.chunks.length > 0 || this.ended || this.fault) return undefined;
    return new Promise((resolve) => (this.wake = resolve));
  }

  /** Closes the connection unless all has been read. */
  leave(): void {
    if (!this.ended) this.body.destroy();
  }

  private onData(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.waitingBytes += chunk.byteLength;
    if (this.waitingBytes > MAX_WAITING_BYTES) this.body.pause();
    this.wake?.();
  }

  private fail(error: Error): void {
    if (this.ended) return;
    this.fault ??= error;
    this.wake?.();
  }

  private takeSlice(): Buffer | null {
    const [chunk] = this.chunks;
    if (!chunk) return null;
    const slice = chunk.subarray(0, SLICE_BYTES);
    if (slice.byteLength === chunk.byteLength) this.chunks.shift();
    else this.chunks[0] = chunk.subarray(SLICE_BYTES);
    this.waitingBytes -= slice.byteLength;
    if (this.chunks.length === 0 && this.body.isPaused()) this.body.resume();
    return slice;
  }

  private parse(slice: Buffer): void {
    this.totalBytes += slice.byteLength;
    if (this.totalBytes > MAX_BYTES) throw new TooMuchError();
    let text = this.decoder.write(slice);
    if (this.isFirst && text !== '') {
      this.isFirst = false;
      if (text.startsWith('\uFEFF')) text = text.slice(1);
    }
    this.parser.feed(text);
  }
}
