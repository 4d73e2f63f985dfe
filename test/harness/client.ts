import { type Client, createClient } from 'graphql-ws';
import { request } from 'undici';
import { WebSocket } from 'ws';
import { sseData } from './sse.ts';
import { leavable, type Stream } from './stream.ts';

/** Where to ask, and as whom. */
export interface Target {
  readonly url: string;
  readonly key: string;
}

export interface Fault {
  message: string;
  path?: (string | number)[];
  extensions?: Record<string, unknown>;
}

export interface Result<T> {
  data?: T | null;
  errors?: Fault[];
}

/** What an operation came to when it was not data. */
export class RefusedError extends Error {
  override name = 'RefusedError';
  readonly errors: readonly Fault[];

  constructor(errors: readonly Fault[]) {
    super(errors.map((error) => `${String(error.extensions?.code)}: ${error.message}`).join('\n'));
    this.errors = errors;
  }
}

interface AskOptions {
  /** Null: none at all. */
  key?: string | null;
}

/** One request by HTTP, with its status. Not by `fetch`, which costs several times as much of the processor. */
export async function graphql<T>(
  target: Target,
  query: string,
  variables: Record<string, unknown> = {},
  { key = target.key }: AskOptions = {},
): Promise<Result<T> & { status: number }> {
  const { statusCode, body } = await request(`${target.url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...authorization(key) },
    body: JSON.stringify({ query, variables }),
  });
  return { status: statusCode, ...((await body.json()) as Result<T>) };
}

/** The data of a request by HTTP that succeeds. */
export async function ask<T>(target: Target, query: string, variables: Record<string, unknown> = {}): Promise<T> {
  return dataOf(await graphql<T>(target, query, variables));
}

/** A WebSocket that may carry several subscriptions. The caller disposes of it. */
export function openSocket(target: Target, { key = target.key }: AskOptions = {}): Client {
  return createClient({
    url: `${target.url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: authorization(key),
    retryAttempts: 0,
    lazy: true,
  });
}

/** What the server answers to a request for a WebSocket: 101 when it agrees. */
export function upgradeStatus(target: Pick<Target, 'url'>, headers: Record<string, string> = {}): Promise<number> {
  const socket = new WebSocket(`${target.url.replace(/^http/, 'ws')}/graphql`, 'graphql-transport-ws', { headers });
  return new Promise((resolve, reject) => {
    const answer = (status = 0) => {
      resolve(status);
      socket.terminate();
    };
    socket.on('error', reject);
    socket.on('open', () => answer(101));
    socket.on('unexpected-response', (_request, response) => answer(response.statusCode));
  });
}

interface SubscribeOptions extends AskOptions {
  /** For a WebSocket: not one of its own. */
  socket?: Client;
}

/** A subscription by WebSocket. Its stream throws `RefusedError` when it is refused. */
export function subscribeWs<T>(
  target: Target,
  query: string,
  variables: Record<string, unknown> = {},
  { socket, ...options }: SubscribeOptions = {},
): Stream<T> {
  return leavable(async function* (left) {
    const client = socket ?? openSocket(target, options);
    try {
      const results = client.iterate({ query, variables });
      left.addEventListener('abort', () => void results.return?.());
      for await (const result of results) yield dataOf(result as Result<T>);
    } catch (error) {
      throw Array.isArray(error) ? new RefusedError(error as Fault[]) : error;
    } finally {
      if (!socket) await client.dispose();
    }
  });
}

/** A subscription by server-sent events. Its stream throws `RefusedError` when it is refused. */
export function subscribeSse<T>(
  target: Target,
  query: string,
  variables: Record<string, unknown> = {},
  { key = target.key }: SubscribeOptions = {},
): Stream<T> {
  return leavable(async function* (left) {
    try {
      const response = await fetch(`${target.url}/graphql`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream', ...authorization(key) },
        body: JSON.stringify({ query, variables }),
        signal: left,
      });
      for await (const data of sseData(response)) yield dataOf(JSON.parse(data) as Result<T>);
    } catch (error) {
      if (!left.aborted) throw error;
    }
  });
}

export type Subscribe = typeof subscribeWs;

function dataOf<T>({ data, errors }: Result<T>): T {
  if (errors) throw new RefusedError(errors);
  if (data == null) throw new Error('The result has neither data nor errors.');
  return data;
}

function authorization(key: string | null): Record<string, string> {
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}
