import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { z } from 'zod';

const messageSchema = z.looseObject({
  role: z.string(),
  content: z.unknown(),
  tool_calls: z.array(z.looseObject({ id: z.string() })).optional(),
});

const bodySchema = z.looseObject({
  model: z.string().optional(),
  messages: z.array(messageSchema).optional(),
  tools: z.array(z.looseObject({ function: z.looseObject({ name: z.string() }).optional() })).optional(),
});

/** A request as the server got it. */
export interface ModelRequest {
  path: string;
  headers: IncomingHttpHeaders;
  body: z.infer<typeof bodySchema>;
  /** Resolves when the client has gone before the answer was complete, or after. */
  closed: Promise<unknown>;
}

/** How one request is answered. */
export type Script = (response: ServerResponse, request: ModelRequest) => void;

/** A server that speaks what its scripts have it speak: a real one, on a port of its own. */
export class ModelServer {
  readonly requests: ModelRequest[] = [];
  private readonly scripts: Script[] = [];
  private readonly otherwise: Script;
  private readonly server = createServer((incoming, response) => {
    const closed = once(response, 'close');
    response.on('error', () => undefined);
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = bodySchema.parse(JSON.parse(Buffer.concat(chunks).toString()));
      const request = { path: incoming.url ?? '', headers: incoming.headers, body, closed };
      this.requests.push(request);
      (this.scripts.shift() ?? this.otherwise)(response, request);
    });
  });

  /** `otherwise` is how a request is answered that nothing was scripted for. */
  constructor(otherwise = refuses(500)) {
    this.otherwise = otherwise;
  }

  /** Answers the next requests so, one after another. What was not asked for is forgotten. */
  answer(...scripts: Script[]): void {
    this.requests.length = 0;
    this.scripts.splice(0, Infinity, ...scripts);
  }

  get url(): string {
    const address = this.server.address();
    if (typeof address !== 'object' || !address) throw new Error('The server does not listen.');
    return `http://127.0.0.1:${address.port}`;
  }

  async start(port = 0): Promise<this> {
    this.server.listen(port, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}

/** An answer that is no stream. */
export function refuses(
  status: number,
  { headers = {}, body = '' }: { headers?: Record<string, string>; body?: unknown } = {},
): Script {
  return (response) => {
    const isText = typeof body === 'string';
    response.writeHead(status, { 'content-type': isText ? 'text/plain' : 'application/json', ...headers });
    response.end(isText ? body : JSON.stringify(body));
  };
}

/** What an OpenAI-compatible server sends, chunk by chunk. */
export type Chunk = Record<string, unknown>;

export function textChunks(...pieces: string[]): Chunk[] {
  return pieces.map((content) => choice({ content }));
}

/** A call whose arguments come in pieces: the JSON of a value, or just what a string says. */
export function callChunks(name: string, args: unknown, { index = 0, pieces = 1, id = `id-${name}` } = {}): Chunk[] {
  const json = typeof args === 'string' ? args : JSON.stringify(args);
  const size = Math.ceil(json.length / pieces) || 1;
  const parts = Array.from({ length: pieces }, (_, piece) => json.slice(piece * size, (piece + 1) * size));
  return parts.map((part, piece) =>
    choice({
      tool_calls: [
        piece === 0
          ? { index, id, type: 'function', function: { name, arguments: part } }
          : { index, function: { arguments: part } },
      ],
    }),
  );
}

export function finishChunk(reason: string): Chunk {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta: {}, finish_reason: reason }],
  };
}

export function usageChunk(input: number, output: number): Chunk {
  return { choices: [], usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output } };
}

/** A stream of these chunks, to its proper end. */
export function streams(...chunks: Chunk[]): Script {
  return (response) => {
    beginStream(response);
    for (const chunk of chunks) response.write(event(chunk));
    response.end('data: [DONE]\n\n');
  };
}

/** A text in pieces, and nothing unusual. */
export function says(...pieces: string[]): Script {
  return streams(...textChunks(...pieces), finishChunk('stop'), usageChunk(10, pieces.length));
}

/** One call, after some text if need be. */
export function calls(name: string, args: unknown, { text = [] as string[], pieces = 1 } = {}): Script {
  return streams(
    ...textChunks(...text),
    ...callChunks(name, args, { pieces }),
    finishChunk('tool_calls'),
    usageChunk(20, 5),
  );
}

/** The beginning of a stream; then the script goes on as it likes. */
export function begins(chunks: Chunk[], goOn: Script = () => undefined): Script {
  return (response, request) => {
    beginStream(response);
    for (const chunk of chunks) response.write(event(chunk));
    goOn(response, request);
  };
}

/** Cuts the connection once all that was written is on its way. */
export const cuts: Script = (response) => {
  response.write('', () => setImmediate(() => response.socket?.destroy()));
};

/** Takes the request and never answers. */
export const hangs: Script = () => undefined;

/** So many bytes, all the same piece after a beginning, as fast as they are taken. */
export function floods(bytes: number, { start = '', piece = 'x'.repeat(65_536), status = 200 } = {}): Script {
  return (response) => {
    beginStream(response, status);
    response.write(start);
    let left = bytes;
    const pour = () => {
      while (left > 0 && !response.destroyed) {
        left -= piece.length;
        if (!response.write(piece)) {
          response.once('drain', pour);
          return;
        }
      }
      response.end();
    };
    pour();
  };
}

/** A stream of Anthropic's protocol. */
export function anthropicStreams(...events: ({ type: string } & Record<string, unknown>)[]): Script {
  return (response) => {
    beginStream(response);
    for (const data of events) response.write(`event: ${data.type}\n${event(data)}`);
    response.end();
  };
}

/** A stream of Google's protocol. */
export function googleStreams(...chunks: Chunk[]): Script {
  return (response) => {
    beginStream(response);
    for (const chunk of chunks) response.write(event(chunk));
    response.end();
  };
}

export function event(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

function beginStream(response: ServerResponse, status = 200): void {
  response.writeHead(status, { 'content-type': 'text/event-stream' });
}

function choice(delta: Record<string, unknown>): Chunk {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'fake',
    choices: [{ index: 0, delta, finish_reason: null }],
  };
}
