import type { IncomingMessage, ServerResponse } from 'node:http';
import { useCSRFPrevention } from '@graphql-yoga/plugin-csrf-prevention';
import { type ExecutionResult, type GraphQLError, NoSchemaIntrospectionCustomRule } from 'graphql';
import {
  createYoga,
  isAsyncIterable,
  type Plugin,
  type YogaInitialContext,
  type YogaServerInstance,
} from 'graphql-yoga';
import type { Connections } from '../access/connections.ts';
import { SIGN_IN_PATH } from '../access/local-sign-in.ts';
import type { RateLimits } from '../access/rate-limits.ts';
import type { Expiry } from '../access/standing.ts';
import type { Viewer } from '../access/viewer.ts';
import type { Logger } from '../logger.ts';
import type { RunningOperation } from '../running-operations.ts';
import { admit, type Operation } from './admission.ts';
import type { Arrival } from './arrivals.ts';
import { tellCommitted } from './committed.ts';
import { asksForCost, withCost } from './cost-report.ts';
import { createContext, type GraphQLContext, type Services } from './context.ts';
import type { Groups } from './delivery/groups.ts';
import { execute } from './execution/execute.ts';
import { documentCache, parseDocument, validateDocument } from './documents.ts';
import { noLongerServed, rateLimited, shuttingDown, unauthenticated } from './errors.ts';
import { deliverEventStreams, EventStreamWire } from './event-stream.ts';
import { graphiqlOptions, graphiqlRenderer } from './graphiql.ts';
import { withLastWord } from './last-word.ts';
import { checkParameters } from './request-parameters.ts';
import { documentedCodes, maskError } from './masking.ts';
import { nameOfOperation } from './operation-name.ts';
import { idParameters, type PersistedOperations, persistedOperations } from './persisted-operations.ts';
import type { AcceptedOperations } from './accepted-operations.ts';
import { schema } from './schema.ts';
import { Reception, type ReceptionOptions, tell } from './reception.ts';
import { requireViewer } from './request-viewer.ts';
import { ShortPath } from './short-path.ts';
import { admitStrangers } from './strangers.ts';
import { limitedWork } from './work-limit.ts';

/** The path of the API, over HTTP, SSE and WebSocket. */
export const GRAPHQL_PATH = '/graphql';

/** The context that the HTTP server passes to Yoga. */
export interface ServerContext {
  req: IncomingMessage;
  res: ServerResponse;
  /** The request's entry among the running operations. */
  operation: RunningOperation;
  reception: Reception;
  /** What the short path has come to, for Yoga to tell. */
  result?: ExecutionResult;
  /** Both are set once the request is authenticated. */
  viewer?: Viewer;
  arrival?: Arrival;
}

/** Answers a request to the API. */
export type GraphQLServer = (req: IncomingMessage, res: ServerResponse, operation: RunningOperation) => Promise<void>;

interface GraphQLServerOptions extends ReceptionOptions {
  services: Services;
  logger: Logger;
  connections: Connections;
  introspection: boolean;
  persisted: PersistedOperations | null;
  keepAliveSeconds: number;
  /** Whether pages of this origin may use the API from a browser. */
  allowsOrigin: (origin: string) => Promise<boolean>;
  trustedProxies: number;
  accepted: AcceptedOperations;
  groups: Groups;
  /** Whether a link can sign in to the GraphiQL page. */
  graphiqlSignsIn: boolean;
}

/** The API over HTTP and SSE. Requests are authenticated before anything else. */
export function createGraphQLServer(options: GraphQLServerOptions): GraphQLServer {
  const shortPath = new ShortPath(options);
  const yoga = createServer(options, shortPath);
  return async (req, res, operation) => {
    const context: ServerContext = { req, res, operation, reception: new Reception(req, res, options) };
    if (!(await shortPath.answer(context))) await yoga(req, res, context);
  };
}

function createServer(
  options: GraphQLServerOptions,
  shortPath: ShortPath,
): YogaServerInstance<ServerContext, GraphQLContext> {
  const { services, logger, connections, rateLimits, persisted } = options;
  return createYoga<ServerContext, GraphQLContext>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    landingPage: false,
    // `requireViewer` limits it by who sends it.
    maxRequestBodySize: false,
    // No field takes a file.
    multipart: false,
    extraParamNames: persisted ? [...idParameters] : [],
    parserAndValidationCache: { documentCache, errorCache },
    cors: async (request) => {
      const origin = request.headers.get('origin');
      // The star lets Yoga answer with the origin itself.
      return origin !== null && (await options.allowsOrigin(origin)) && { ...sharing, origin: ['*'] };
    },
    logging: false,
    graphiql: options.introspection && graphiqlOptions,
    renderGraphiQL: graphiqlRenderer({
      signsIn: options.graphiqlSignsIn,
      signInPath: SIGN_IN_PATH,
      apiPath: GRAPHQL_PATH,
    }),
    plugins: [
      executeAsOverWebSocket,
      // Requires a header or a content type that a page of another origin can send only after a preflight.
      useCSRFPrevention({ requestHeaders: ['authorization', 'x-parley-csrf'] }),
      requireViewer(options.trustedProxies),
      admitStrangers({ persisted, rateLimits, trustedProxies: options.trustedProxies }),
      ...(persisted ? [persistedOperations(persisted)] : []),
      shortPath.plugin,
      nameOperations,
      checkParameters,
      reportCost,
      limitOperations(options.introspection, rateLimits),
      countOperations(options.accepted),
      limitStreams(connections, options.keepAliveSeconds),
      deliverEventStreams(options.groups),
      limitedWork,
      documentedCodes,
      useCommitted,
    ],
    maskedErrors: { maskError: (error) => maskError(error, logger) },
    context: ({ viewer, req, res }) => {
      if (!viewer) throw unauthenticated();
      return createContext(services, viewer, new EventStreamWire(res), req.headers.origin ?? null);
    },
  });
}

/** CORS for pages of other origins. A preflight is valid for two hours, the longest that browsers allow. */
const sharing = {
  credentials: false,
  exposedHeaders: ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'Retry-After'],
  maxAge: 7200,
};

/** Queries and mutations are executed as over WebSocket. */
const executeAsOverWebSocket: Plugin = {
  onExecute: ({ setExecuteFn }) => setExecuteFn(execute),
};

/** Names the operation of a request. A stream, once open, no longer counts as work. */
const nameOperations: Plugin<ServerContext> = {
  onExecute({ args }) {
    args.contextValue.operation.name = nameOfOperation(args);
  },
  onSubscribe({ args }) {
    const { operation } = args.contextValue;
    operation.name = nameOfOperation(args);
    return { onSubscribeResult: operation.end };
  },
};

/** Must come before errors are masked. */
const useCommitted: Plugin = {
  onExecute: ({ args }) => ({
    onExecuteDone({ result, setResult }) {
      if (isAsyncIterable(result) || !result.errors) return;
      setResult({ ...result, errors: tellCommitted(result.errors, args.contextValue) });
    },
  }),
};

/** Comes before operations are limited, so that one that was refused for its cost is told it too. */
const reportCost: Plugin = {
  onExecute({ args }) {
    if (!asksForCost(args.contextValue.params)) return undefined;
    return {
      onExecuteDone({ result, setResult }) {
        if (!isAsyncIterable(result)) setResult(withCost(result, args));
      },
    };
  },
};

/** What the starts of an execution and of a subscription have in common. */
interface Starting {
  args: Omit<Operation, 'params'> & { contextValue: ServerContext & YogaInitialContext };
  setResultAndStopExecution: (result: { errors: GraphQLError[] }) => void;
}

/** Refuses an operation, before it runs, that costs too much or that its viewer may not run. */
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

/** Lets the shutdown wait for operations that have begun, and lets none begin after it. */
function countOperations(accepted: AcceptedOperations): Plugin<ServerContext> {
  return {
    onExecute({ args, executeFn, setExecuteFn }) {
      const { arrival } = args.contextValue;
      setExecuteFn((given) => {
        const run = async (): Promise<unknown> => await executeFn(given);
        return accepted.run(() => (arrival ? arrival.during(run) : run()));
      });
    },
    onSubscribe({ setResultAndStopExecution }) {
      if (accepted.isClosed) setResultAndStopExecution({ errors: [shuttingDown()] });
    },
  };
}

/** How long a peer may take to read why its stream ends, in milliseconds. */
const LAST_WORD_MS = 1000;

/**
 * A stream of server-sent events counts as a connection. It ends with an error when its credential is no longer valid, and ends
 * when its peer reads nothing for a whole interval.
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
        // A peer that does not read the last error in time is cut off.
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
          // Otherwise a response that breaks while it waits for its reader would leave the stream open.
          res.once('close', () => void stream.return?.());
        },
      };
    },
  };
}

function isResults(result: unknown): result is AsyncIterable<ExecutionResult> {
  return isAsyncIterable(result);
}

/** Invalid documents are not cached. */
const errorCache = { get: () => undefined, set: () => undefined };
