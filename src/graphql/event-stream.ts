import type { ServerResponse } from 'node:http';
import type { ExecutionResult } from 'graphql';
import { type FetchAPI, isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Groups } from './delivery/groups.ts';
import { subscribe } from './delivery/subscribe.ts';
import { type Wire, WIRE_BYTES } from './delivery/wire.ts';
import { withoutHttp } from './masking.ts';

/** How often a comment is sent, in milliseconds, so that proxies do not take the stream for dead. */
const COMMENT_MS = 12_000;

const headers = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-cache',
  'Content-Encoding': 'none',
  Connection: 'keep-alive',
};

const comment = Buffer.from(':\n\n');
const complete = Buffer.from('event: complete\ndata:\n\n');

/** The results of one subscription as server-sent events. The headers must have been sent. */
export class EventStreamWire implements Wire {
  private readonly res: ServerResponse;

  constructor(res: ServerResponse) {
    this.res = res;
  }

  get isOpen(): boolean {
    return !this.res.destroyed && !this.res.writableEnded;
  }

  get isFull(): boolean {
    return this.res.writableLength > WIRE_BYTES;
  }

  write(results: readonly Buffer[]): void {
    const { res } = this;
    const { socket } = res;
    // What waits in the response itself, behind an earlier response of the connection, comes first.
    const isDirect = res.chunkedEncoding && socket !== null && socket.writableLength === res.writableLength;
    if (!isDirect) return results.map(eventOf).forEach((event) => this.send(event));
    const [only] = results;
    socket.write(only && results.length === 1 ? chunkOf(only) : Buffer.concat(results.map(chunkOf)));
  }

  /** Sends a whole event or a comment. */
  send(frame: Buffer): void {
    this.res.write(frame);
  }

  drained(): Promise<void> {
    const { res } = this;
    const { socket } = res;
    if (res.writableLength === 0 || res.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = () => {
        for (const emitter of [res, socket]) emitter?.off('drain', settle).off('close', settle);
        resolve();
      };
      for (const emitter of [res, socket]) emitter?.on('drain', settle).on('close', settle);
    });
  }
}

const eventOf = (result: Buffer) => Buffer.concat([Buffer.from('event: next\ndata: '), result, Buffer.from('\n\n')]);

const chunks = new WeakMap<Buffer, Buffer>();

/** The event as a chunk of HTTP/1.1, the same for all who are sent this result. */
function chunkOf(result: Buffer): Buffer {
  let chunk = chunks.get(result);
  if (!chunk) {
    const event = eventOf(result);
    chunk = Buffer.concat([Buffer.from(`${event.length.toString(16)}\r\n`), event, Buffer.from('\r\n')]);
    chunks.set(result, chunk);
  }
  return chunk;
}

/** Delivers subscriptions by server-sent events. Yoga sends the headers, and ends the response; all between is written past it. */
export function deliverEventStreams(groups: Groups): Plugin<object, { res: ServerResponse }> {
  return {
    onSubscribe({ setSubscribeFn }) {
      setSubscribeFn((args: Parameters<typeof subscribe>[1]) => subscribe(groups, args));
    },
    onResultProcess(process) {
      const { result, resultProcessor, serverContext } = process;
      const { res } = serverContext;
      // Where it is not accepted, Yoga refuses it.
      if (!resultProcessor || !isAsyncIterable(result)) return;
      process.setResultProcessor((results, { Response, ReadableStream }: FetchAPI) => {
        let send: (() => Promise<void>) | null = () => sendResults(new EventStreamWire(res), resultsIn(results));
        const body = new ReadableStream<Uint8Array>({
          async pull(controller) {
            const sending = send;
            send = null;
            await sending?.();
            controller.close();
          },
        });
        return new Response(body, { status: 200, headers });
      }, 'text/event-stream');
    },
  };
}

async function* resultsIn(results: unknown): AsyncGenerator<ExecutionResult, void, undefined> {
  if (isResults(results)) yield* results;
}

function isResults(results: unknown): results is AsyncIterable<ExecutionResult> {
  return isAsyncIterable(results);
}

async function sendResults(wire: EventStreamWire, results: AsyncIterable<ExecutionResult>): Promise<void> {
  // Some clients do not see the headers before something follows.
  wire.send(comment);
  const timer = setInterval(() => {
    if (!wire.isFull) wire.send(comment);
  }, COMMENT_MS);
  try {
    for await (const { errors, ...result } of results) {
      const sent = errors ? { ...result, errors: errors.map(withoutHttp) } : result;
      wire.write([Buffer.from(JSON.stringify(sent))]);
      if (wire.isFull) await wire.drained();
    }
    wire.send(complete);
  } finally {
    clearInterval(timer);
  }
}
