import type { IncomingMessage, ServerResponse } from 'node:http';
import { createYoga, isAsyncIterable, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import type { Viewer } from '../access/viewer.ts';
import type { Logger } from '../observability.ts';
import type { OpenConnections } from './connections.ts';
import { createContext, type GraphQLContext, type Services } from './context.ts';
import { rateLimited, unauthenticated } from './errors.ts';
import { graphiqlOptions, renderGraphiQL } from './graphiql.ts';
import { documentedCodes, maskError } from './masking.ts';
import { schema } from './schema.ts';

/** The path of the API, over HTTP, SSE and WebSocket. */
export const GRAPHQL_PATH = '/graphql';

/** The largest request, in bytes. */
export const MAX_REQUEST_BYTES = 10 * 1024 * 1024;

/** What the HTTP server hands to Yoga. */
export interface ServerContext {
  req: IncomingMessage;
  res: ServerResponse;
  /** Known once the request is authenticated. */
  viewer?: Viewer;
}

export type GraphQLServer = YogaServerInstance<ServerContext, GraphQLContext>;

/** The API over HTTP and SSE. Who is not authenticated gets no further than the door. */
export function createGraphQLServer(options: {
  services: Services;
  log: Logger;
  connections: OpenConnections;
  keepAliveSeconds: number;
  allowedOrigins: readonly string[];
  /** Whether the page of GraphiQL is authenticated without a key. */
  graphiqlSignsIn: boolean;
  /** Null: not authenticated. */
  authenticate: (req: IncomingMessage) => Promise<Viewer | null>;
}): GraphQLServer {
  const { services, log, connections, allowedOrigins, authenticate } = options;
  return createYoga<ServerContext, GraphQLContext>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    landingPage: false,
    maxRequestBodySize: MAX_REQUEST_BYTES,
    cors: allowedOrigins.length > 0 ? { origin: [...allowedOrigins], credentials: false } : false,
    logging: false,
    graphiql: graphiqlOptions(options.graphiqlSignsIn),
    renderGraphiQL,
    plugins: [requireViewer(authenticate), limitStreams(connections, options.keepAliveSeconds), documentedCodes],
    maskedErrors: { maskError: (error) => maskError(error, log) },
    context: ({ viewer }) => {
      if (!viewer) throw unauthenticated();
      return createContext(services, viewer);
    },
  });
}

/** Before anything of the request is read: to others, every request looks alike. */
function requireViewer(authenticate: (req: IncomingMessage) => Promise<Viewer | null>): Plugin<object, ServerContext> {
  return {
    async onRequestParse({ serverContext }) {
      const viewer = await authenticate(serverContext.req);
      if (!viewer) throw unauthenticated();
      serverContext.viewer = viewer;
    },
  };
}

/** A stream of server-sent events counts as a connection, and ends when its peer takes nothing for a whole interval. */
function limitStreams(connections: OpenConnections, keepAliveSeconds: number): Plugin<ServerContext> {
  return {
    onSubscribe({ args: { contextValue } }) {
      const { viewer, res } = contextValue;
      const release = viewer && connections.open(viewer.id);
      if (!release) throw rateLimited('You have too many connections open. Close some, or try again later.', 5);
      let before: number | undefined;
      const timer = setInterval(() => {
        const written = res.writableLength > 0 ? res.socket?.bytesWritten : undefined;
        if (written !== undefined && written === before) res.destroy();
        before = written;
      }, keepAliveSeconds * 1000);
      res.once('close', () => {
        clearInterval(timer);
        release();
      });
      return {
        onSubscribeResult({ result }) {
          // A response that breaks while it waits for its reader would leave the stream open.
          if (isAsyncIterable(result)) res.once('close', () => void result[Symbol.asyncIterator]().return?.());
        },
      };
    },
  };
}
