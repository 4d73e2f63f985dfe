import type { IncomingMessage, ServerResponse } from 'node:http';
import { useCSRFPrevention } from '@graphql-yoga/plugin-csrf-prevention';
import { type GraphQLError, NoSchemaIntrospectionCustomRule } from 'graphql';
import { createYoga, isAsyncIterable, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import type { Connections } from '../access/connections.ts';
import type { RateLimits } from '../access/rate-limits.ts';
import type { Viewer } from '../access/viewer.ts';
import type { Logger } from '../logger.ts';
import type { Operation } from '../running-operations.ts';
import { createContext, type GraphQLContext, type Services } from './context.ts';
import { documentCache, parseDocument } from './documents.ts';
import { badUserInput, rateLimited, tooManyOperations, unauthenticated } from './errors.ts';
import { graphiqlOptions, renderGraphiQL } from './graphiql.ts';
import { faultsOfCost } from './limits.ts';
import { documentedCodes, maskError } from './masking.ts';
import { nameOfOperation } from './operation-name.ts';
import { schema } from './schema.ts';

/** The path of the API, over HTTP, SSE and WebSocket. */
export const GRAPHQL_PATH = '/graphql';

/** The largest request, in bytes. */
export const MAX_REQUEST_BYTES = 10 * 1024 * 1024;

/** What the HTTP server hands to Yoga. */
export interface ServerContext {
  req: IncomingMessage;
  res: ServerResponse;
  /** The request, as one of those that run. */
  operation?: Operation;
  /** Known once the request is authenticated. */
  viewer?: Viewer;
}

export type GraphQLServer = YogaServerInstance<ServerContext, GraphQLContext>;

/** The API over HTTP and SSE. Who is not authenticated gets no further than the door. */
export function createGraphQLServer(options: {
  services: Services;
  logger: Logger;
  connections: Connections;
  rateLimits: RateLimits;
  introspection: boolean;
  keepAliveSeconds: number;
  allowedOrigins: readonly string[];
  /** Whether the page of GraphiQL is authenticated without a key. */
  graphiqlSignsIn: boolean;
  /** Null: not authenticated. */
  authenticate: (req: IncomingMessage) => Promise<Viewer | null>;
}): GraphQLServer {
  const { services, logger, connections, rateLimits, allowedOrigins, authenticate } = options;
  return createYoga<ServerContext, GraphQLContext>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    landingPage: false,
    maxRequestBodySize: MAX_REQUEST_BYTES,
    parserAndValidationCache: { documentCache, errorCache },
    cors: allowedOrigins.length > 0 ? { origin: [...allowedOrigins], credentials: false } : false,
    logging: false,
    graphiql: options.introspection && graphiqlOptions(options.graphiqlSignsIn),
    renderGraphiQL,
    plugins: [
      // A header that a page of another origin cannot send unasked, or a body that it cannot.
      useCSRFPrevention({ requestHeaders: ['authorization', 'x-parley-csrf'] }),
      requireViewer(authenticate, rateLimits),
      nameOperations,
      checkParameters,
      limitOperations(options.introspection),
      limitStreams(connections, options.keepAliveSeconds),
      documentedCodes,
    ],
    maskedErrors: { maskError: (error) => maskError(error, logger) },
    context: ({ viewer }) => {
      if (!viewer) throw unauthenticated();
      return createContext(services, viewer);
    },
  });
}

/** Before anything of the request is read: to others, every request looks alike. */
function requireViewer(
  authenticate: (req: IncomingMessage) => Promise<Viewer | null>,
  rateLimits: RateLimits,
): Plugin<object, ServerContext> {
  return {
    async onRequestParse({ serverContext }) {
      const viewer = await authenticate(serverContext.req);
      if (!viewer) throw unauthenticated();
      serverContext.viewer = viewer;
      const allowance = await rateLimits.take(viewer);
      if (!allowance) return;
      const { limit, remaining, resetSeconds, allowed } = allowance;
      serverContext.res.setHeader('RateLimit-Limit', limit);
      serverContext.res.setHeader('RateLimit-Remaining', remaining);
      serverContext.res.setHeader('RateLimit-Reset', resetSeconds);
      if (!allowed) throw tooManyOperations(allowance);
    },
  };
}

/** Says what a request is about, and that an open stream is no work. */
const nameOperations: Plugin<ServerContext> = {
  onExecute({ args }) {
    const { operation } = args.contextValue;
    if (operation) operation.name = nameOfOperation(args);
  },
  onSubscribe({ args }) {
    const { operation } = args.contextValue;
    if (operation) operation.name = nameOfOperation(args);
    return { onSubscribeResult: () => operation?.end() };
  },
};

/** What of a GET request has to be JSON. */
const checkParameters: Plugin = {
  onRequestParse({ url }) {
    for (const name of ['variables', 'extensions']) {
      const value = url.searchParams.get(name);
      if (value !== null && !isJson(value)) throw badUserInput(`\`${name}\` is not well-formed JSON.`);
    }
  },
};

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What is alike in the beginning of an execution and of a subscription. */
interface Starting {
  args: Parameters<typeof faultsOfCost>[1];
  setResultAndStopExecution: (result: { errors: GraphQLError[] }) => void;
}

/** Refuses what would cost too much before it runs. */
function limitOperations(introspection: boolean): Plugin<ServerContext & GraphQLContext> {
  const refuseExcess = ({ args, setResultAndStopExecution }: Starting) => {
    const errors = faultsOfCost(schema, args);
    if (errors.length > 0) setResultAndStopExecution({ errors: errors.map(({ message }) => badUserInput(message)) });
  };
  return {
    onParse({ setParseFn }) {
      setParseFn(parseDocument);
    },
    onValidate({ addValidationRule }) {
      if (!introspection) addValidationRule(NoSchemaIntrospectionCustomRule);
    },
    onExecute: refuseExcess,
    onSubscribe: refuseExcess,
  };
}

/** A stream of server-sent events counts as a connection, and ends when its peer takes nothing for a whole interval. */
function limitStreams(connections: Connections, keepAliveSeconds: number): Plugin<ServerContext> {
  return {
    onSubscribe({ args: { contextValue } }) {
      const { viewer, res } = contextValue;
      const release = viewer && connections.add(viewer, () => res.destroy());
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

/** Documents with faults are not worth keeping. */
const errorCache = { get: () => undefined, set: () => undefined };
