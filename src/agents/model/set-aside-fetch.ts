import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { RuntimeError } from '../runtime.ts';
import { MAX_ERROR_BYTES } from './limits.ts';

/** How long a connection may take to be there, in milliseconds. */
const CONNECT_MS = 10_000;

/** Answers with these have no body, and a `Response` refuses one. */
const BODILESS = [204, 205, 304];

/**
 * `fetch` for the client of a provider, over plain sockets. The body of an answer that is none of a failure is set aside for who
 * sent the request by its signal, since the web streams that the client would read it through cost more than all else of a token.
 * Follows no redirects, which could send the key elsewhere.
 */
export class SetAsideFetch {
  private readonly bodies = new WeakMap<AbortSignal, IncomingMessage>();

  readonly fetch: typeof fetch = async (input, init) => {
    const { signal, method = 'GET', headers, body } = init ?? {};
    if (!signal || typeof input !== 'string' || typeof body !== 'string') {
      throw new TypeError('A request to a model has a URL, a body of text and a signal.');
    }
    const answer = await send(input, body, { method, headers: Object.fromEntries(new Headers(headers)), signal });
    try {
      const { statusCode: status = 0, statusMessage: statusText = '', headersDistinct } = answer;
      const about = { status, statusText, headers: headersOf(headersDistinct) };
      if (BODILESS.includes(status)) return new Response(null, about);
      if (status < 200 || status > 299) return new Response(await beginningOf(answer), about);
      if ((answer.headers['content-encoding'] ?? 'identity') !== 'identity') {
        throw new RuntimeError("The model's server compressed its answer, which it was not asked to.");
      }
      // The client only has to see that there is one.
      const response = new Response('', about);
      this.bodies.set(signal, answer);
      return response;
    } finally {
      if (!this.bodies.has(signal)) answer.destroy();
    }
  };

  /** The body of the answer to the request with this signal. */
  take(signal: AbortSignal): IncomingMessage {
    const body = this.bodies.get(signal);
    if (!body) throw new Error('There was no answer to a request with this signal.');
    this.bodies.delete(signal);
    return body;
  }
}

interface SendOptions {
  method: string;
  headers: Record<string, string>;
  /** Ends the request, also while its answer is read. */
  signal: AbortSignal;
}

/** Resolves as soon as the headers of the answer are there. Rejects as `fetch` does when there is no answer. */
function send(url: string, body: string, { headers, ...options }: SendOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const target = new URL(url);
    const isSecure = target.protocol === 'https:';
    const length = String(Buffer.byteLength(body));
    const request = (isSecure ? httpsRequest : httpRequest)(target, {
      ...options,
      headers: { ...headers, 'accept-encoding': 'identity', 'content-length': length },
    });
    const fail = (cause: Error) => reject(options.signal.aborted ? cause : new TypeError('fetch failed', { cause }));
    request.on('socket', (socket) => {
      if (!socket.connecting) return;
      const late = setTimeout(() => request.destroy(new Error('The connection took too long.')), CONNECT_MS);
      for (const event of [isSecure ? 'secureConnect' : 'connect', 'close'])
        socket.once(event, () => clearTimeout(late));
    });
    request.on('response', resolve);
    request.on('error', fail);
    request.on('close', () => fail(new Error('The connection was closed without an answer.')));
    request.end(body);
  });
}

function headersOf(distinct: IncomingMessage['headersDistinct']): [string, string][] {
  return Object.entries(distinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  );
}

/** What a failure says, as far as it is of interest and arrives: its status counts, whatever becomes of the rest. */
async function beginningOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.byteLength;
      if (length > MAX_ERROR_BYTES) break;
    }
  } catch {
    // The connection was lost.
  }
  return Buffer.concat(chunks).toString();
}
