import type { IncomingMessage } from 'node:http';
import { createYoga, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import type { Viewer } from '../access/viewer.ts';
import type { Logger } from '../observability.ts';
import { createContext, type GraphQLContext, type Services } from './context.ts';
import { unauthenticated } from './errors.ts';
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
  /** Known once the request is authenticated. */
  viewer?: Viewer;
}

export type GraphQLServer = YogaServerInstance<ServerContext, GraphQLContext>;

/** The API over HTTP and SSE. Who is not authenticated gets no further than the door. */
export function createGraphQLServer(options: {
  services: Services;
  log: Logger;
  allowedOrigins: readonly string[];
  /** Whether the page of GraphiQL is authenticated without a key. */
  graphiqlSignsIn: boolean;
  /** Null: not authenticated. */
  authenticate: (req: IncomingMessage) => Promise<Viewer | null>;
}): GraphQLServer {
  const { services, log, allowedOrigins, authenticate } = options;
  return createYoga<ServerContext, GraphQLContext>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    landingPage: false,
    maxRequestBodySize: MAX_REQUEST_BYTES,
    cors: allowedOrigins.length > 0 ? { origin: [...allowedOrigins], credentials: false } : false,
    logging: false,
    graphiql: graphiqlOptions(options.graphiqlSignsIn),
    renderGraphiQL,
    plugins: [requireViewer(authenticate), documentedCodes],
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
