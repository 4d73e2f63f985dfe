import type { IncomingMessage, ServerResponse } from 'node:http';
import { useCSRFPrevention } from '@graphql-yoga/plugin-csrf-prevention';
import { type ExecutionResult, type GraphQLError, NoSchemaIntrospectionCustomRule } from 'graphql';
import {
  createYoga,
  type FetchAPI,
  isAsyncIterable,
  type Plugin,
  type YogaInitialContext,
  type YogaServerInstance,
} from 'graphql-yoga';
import type { Identity } from '../access/authenticate.ts';
import type { Connections } from '../access/connections.ts';
import { SIGN_IN_PATH } from '../access/local-sign-in.ts';
import type { RateLimits } from '../access/rate-limits.ts';
import type { Allowance } from '../access/rate-windows.ts';
import type { Expiry } from '../access/standing.ts';
import type { Viewer } from '../access/viewer.ts';
import type { Logger } from '../logger.ts';
import type { RunningOperation } from '../running-operations.ts';
import { admit, type Operation } from './admission.ts';
import { tellCommitted } from './committed.ts';
import { createContext, type GraphQLContext, type Services } from './context.ts';
import { documentCache, parseDocument, validateDocument } from './documents.ts';
import {
  badUserInput,
  noLongerServed,
  rateLimited,
  requestTooLarge,
  shuttingDown,
  tokenExpired,
  tooManyOperations,
  unauthenticated,
} from './errors.ts';
import { graphiqlOptions, graphiqlRenderer } from './graphiql.ts';
import { withLastWord } from './last-word.ts';
import { requestBytes } from './limits.ts';
import { documentedCodes, maskError } from './masking.ts';
import { nameOfOperation } from './operation-name.ts';
import type { Operations } from './operations.ts';
import { schema } from './schema.ts';
import { limitedWork } from './work-limit.ts';

/** The path of the API, over HTTP, SSE and WebSocket. */
export const GRAPHQL_PATH = '/graphql';

/** What the HTTP server hands to Yoga. */
export interface ServerContext {
  req: IncomingMessage;
  res: ServerResponse;
  /** The request, as one of those that run. */
  operation?: RunningOperation;
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
  operations: Operations;
  /** Whether the page of GraphiQL can be signed in by a link. */
  graphiqlSignsIn: boolean;
  authenticate: (req: IncomingMessage) => Promise<Identity>;
}): GraphQLServer {
  const { services, logger, connections, rateLimits, allowedOrigins, authenticate } = options;
  return createYoga<ServerContext, GraphQLContext>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    landingPage: false,
    maxRequestBodySize: requestBytes.key,
    // No field takes a file.
    multipart: false,
    parserAndValidationCache: { documentCache, errorCache },
    cors: allowedOrigins.length > 0 && { ...sharing, origin: [...allowedOrigins] },
    logging: false,
    graphiql: options.introspection && graphiqlOptions,
    renderGraphiQL: graphiqlRenderer({
      signsIn: options.graphiqlSignsIn,
      signInPath: SIGN_IN_PATH,
      apiPath: GRAPHQL_PATH,
    }),
    plugins: [
      // A header that a page of another origin cannot send unasked, or a body that it cannot.
      useCSRFPrevention({ requestHeaders: ['authorization', 'x-parley-csrf'] }),
      requireViewer(authenticate, rateLimits),
      nameOperations,
      checkParameters,
      limitOperations(options.introspection, rateLimits),
      countOperations(options.operations),
      limitStreams(connections, options.keepAliveSeconds),
      limitedWork,
      documentedCodes,
      useCommitted,
    ],
    maskedErrors: { maskError: (error) => maskError(error, logger) },
    context: ({ viewer }) => {
      if (!viewer) throw unauthenticated();
      return createContext(services, viewer);
    },
  });
}

/** What web pages of other origins may do. A preflight is good for two hours, the longest that browsers keep one. */
const sharing = {
  credentials: false,
  exposedHeaders: ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'Retry-After'],
  maxAge: 7200,
};

/** Before anything of the request is read: to others, every request looks alike. */
function requireViewer(
  authenticate: (req: IncomingMessage) => Promise<Identity>,
  rateLimits: RateLimits,
): Plugin<object, ServerContext> {
  return {
    async onRequestParse({ serverContext, requestParser, setRequestParser, fetchAPI }) {
      const viewer = await authenticate(serverContext.req);
      if (viewer === 'EXPIRED') throw tokenExpired();
      if (viewer === 'UNKNOWN') throw unauthenticated();
      serverContext.viewer = viewer;
      if (viewer.kind === 'CLIENT_TOKEN' && requestParser) {
        if (Number(serverContext.req.headers['content-length']) > requestBytes.clientToken) throw requestTooLarge();
        setRequestParser((request) => requestParser(limited(request, fetchAPI)));
      }
      const allowance = await rateLimits.take(viewer, 1);
      if (!allowance) return;
      tell(serverContext.res, allowance);
      if (!allowance.allowed) throw tooManyOperations(allowance);
    },
  };
}

/** The request of a client token, whose body breaks off where it is too long; it need not have said so beforehand. */
function limited(request: Request, { Request, TransformStream }: FetchAPI): Request {
  if (!request.body || request.headers.has('content-length')) return request;
  let bytes = 0;
  const count = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > requestBytes.clientToken) controller.error(requestTooLarge());
      else controller.enqueue(chunk);
    },
  });
  const { method, headers, signal } = request;
  const init = { method, headers, signal, body: request.body.pipeThrough(count), duplex: 'half' };
  return new Request(request.url, init);
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

function tell(res: ServerResponse, { limit, remaining, resetSeconds }: Allowance): void {
  res.setHeader('RateLimit-Limit', limit);
  res.setHeader('RateLimit-Remaining', remaining);
  res.setHeader('RateLimit-Reset', resetSeconds);
}

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

/** Before errors are masked. */
const useCommitted: Plugin = {
  onExecute: ({ args }) => ({
    onExecuteDone({ result, setResult }) {
      if (isAsyncIterable(result) || !result.errors) return;
      setResult({ ...result, errors: tellCommitted(result.errors, args.contextValue) });
    },
  }),
};

/** What is alike in the beginning of an execution and of a subscription. */
interface Starting {
  args: Omit<Operation, 'params'> & { contextValue: ServerContext & YogaInitialContext };
  setResultAndStopExecution: (result: { errors: GraphQLError[] }) => void;
}

/** Refuses what would cost too much, or what its viewer may not have, before it runs. */
function limitOperations(introspection: boolean, rateLimits: RateLimits): Plugin<ServerContext & GraphQLContext> {
  const refuseExcess = async ({ args, setResultAndStopExecution }: Starting) => {
    const { errors, allowance } = await admit({ ...args, params: args.contextValue.params }, rateLimits);
    if (allowance) tell(args.contextValue.res, allowance);
    if (errors.length > 0) setResultAndStopExecution({ errors });
  };
  return {
    onParse({ setParseFn }) {
      setParseFn(parseDocument);
    },
    onValidate({ addValidationRule, setValidationFn }) {
      setValidationFn(validateDocument);
      if (!introspection) addValidationRule(NoSchemaIntrospectionCustomRule);
    },
    onExecute: refuseExcess,
    onSubscribe: refuseExcess,
  };
}

/** Has the shutdown wait for what has begun, and nothing begin after it. */
function countOperations(operations: Operations): Plugin<ServerContext> {
  return {
    onExecute({ executeFn, setExecuteFn }) {
      setExecuteFn((args) => operations.run((): unknown => executeFn(args)));
    },
    onSubscribe({ setResultAndStopExecution }) {
      if (operations.isClosed) setResultAndStopExecution({ errors: [shuttingDown()] });
    },
  };
}

/** How long the peer of a stream that must end may take to read why, in milliseconds. */
const LAST_WORD_MS = 1000;

/**
 * A stream of server-sent events counts as a connection, ends with an error when its credential is no longer good, and ends
 * when its peer takes nothing for a whole interval.
 */
function limitStreams(connections: Connections, keepAliveSeconds: number): Plugin<ServerContext> {
  return {
    onSubscribe({ args: { contextValue } }) {
      const { viewer, res } = contextValue;
      const end = new AbortController();
      let why: Expiry = 'REVOKED';
      const drop = (fault: Expiry) => {
        why = fault;
        end.abort();
        // Who does not take the last word is not waited for.
        const giveUp = setTimeout(() => res.destroy(), LAST_WORD_MS);
        res.once('close', () => clearTimeout(giveUp));
      };
      const release = viewer && connections.add(viewer, drop);
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
        onSubscribeResult({ result, setResult }) {
          if (!isResults(result)) return;
          const stream = withLastWord(result, end.signal, () => ({ errors: [noLongerServed(why)] }));
          setResult(stream);
          // A response that breaks while it waits for its reader would leave the stream open.
          res.once('close', () => void stream.return?.());
        },
      };
    },
  };
}

function isResults(result: unknown): result is AsyncIterable<ExecutionResult> {
  return isAsyncIterable(result);
}

/** Documents with faults are not worth keeping. */
const errorCache = { get: () => undefined, set: () => undefined };
