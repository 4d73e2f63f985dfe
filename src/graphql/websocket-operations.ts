import type { IncomingMessage } from 'node:http';
import { type ExecutionArgs, GraphQLError } from 'graphql';
import { makeServer } from 'graphql-ws';
import type { Identity } from '../access/authenticate.ts';
import type { Connections } from '../access/connections.ts';
import type { RateLimits } from '../access/rate-limits.ts';
import type { Expiry } from '../access/standing.ts';
import type { Logger } from '../logger.ts';
import { admit } from './admission.ts';
import type { Arrivals } from './arrivals.ts';
import { tellCommitted } from './committed.ts';
import { asksForCost, withCost } from './cost-report.ts';
import { createContext, type Services } from './context.ts';
import type { Groups } from './delivery/groups.ts';
import { subscribe } from './delivery/subscribe.ts';
import { Subscriber } from './delivery/subscriber.ts';
import { documentReader } from './documents.ts';
import { execute } from './execution/execute.ts';
import { rateLimited, shuttingDown, tooManyOperations } from './errors.ts';
import { requestBytes } from './operation-limits.ts';
import { fewErrors, maskError, withoutHttp } from './masking.ts';
import { nameOfOperation } from './operation-name.ts';
import { type PersistedOperations, textOf } from './persisted-operations.ts';
import type { AcceptedOperations } from './accepted-operations.ts';
import { schema } from './schema.ts';
import { limitWork } from './work-limit.ts';
import { SocketWire } from './websocket-wire.ts';
import { openSockets, type Sockets } from './websocket-frames.ts';
import { CLOSE_TRY_LATER } from './websocket-incoming.ts';
import type { Peer } from './websocket-peer.ts';
import { clockOf } from '../work-clock.ts';

/** Closes a socket whose credential is missing or wrong. Clients do not retry after it. */
const CLOSE_UNAUTHENTICATED = 4401;
/** Closes a socket whose credential has expired. A client continues from its cursor with a new one. */
const CLOSE_EXPIRED = 4440;

/** The API over WebSocket, in the `graphql-transport-ws` protocol. */
export function createWebSockets(options: {
  services: Services;
  logger: Logger;
  connections: Connections;
  rateLimits: RateLimits;
  arrivals: Arrivals;
  accepted: AcceptedOperations;
  groups: Groups;
  introspection: boolean;
  persisted: PersistedOperations | null;
  maxSubscriptions: number;
  keepAliveSeconds: number;
  /** `credential` is the `authorization` from the connection's first message. */
  authenticate: (req: IncomingMessage, credential: string | undefined) => Promise<Identity>;
}): Sockets {
  const {
    services,
    logger,
    connections,
    rateLimits,
    arrivals,
    accepted,
    groups,
    persisted,
    maxSubscriptions,
    keepAliveSeconds,
    authenticate,
  } = options;
  const readDocument = documentReader(options.introspection);
  const masked = (error: unknown) => withoutHttp(maskError(error, logger));

  const protocol = makeServer<Record<string, unknown>, Peer>({
    execute: (args: ExecutionArgs) =>
      limitWork(clockOf(args.contextValue), () =>
        accepted.run(() => services.runningOperations.during(nameOfOperation(args), () => execute(args))),
      ),
    subscribe: (args: ExecutionArgs) =>
      limitWork(clockOf(args.contextValue), async () => {
        const results = await services.runningOperations.during(nameOfOperation(args), () => subscribe(groups, args));
        // The protocol keeps the arguments for as long as the subscription lives. This one does not need them to go on.
        if (results instanceof Subscriber) args.contextValue = undefined;
        return results;
      }),
    async onConnect(context) {
      const { connectionParams, extra } = context;
      // The protocol keeps what was sent for as long as the connection stays: the credential was read.
      Object.assign(context, { connectionParams: undefined });
      const { socket, request } = extra;
      if (!request) return false;
      extra.request = null;
      try {
        const identity = await authenticate(request, authorizationIn(connectionParams));
        const viewer = typeof identity === 'object' ? identity : null;
        const drop = (why: Expiry) => {
          // A peer that ignores the close frame is no longer served.
          extra.viewer = undefined;
          socket.close(why === 'EXPIRED' ? CLOSE_EXPIRED : CLOSE_UNAUTHENTICATED, why);
        };
        const release = viewer && connections.add(viewer, drop);
        if (identity === 'EXPIRED') socket.close(CLOSE_EXPIRED, 'EXPIRED');
        else if (!viewer) socket.close(CLOSE_UNAUTHENTICATED, 'UNAUTHENTICATED');
        else if (!release) socket.close(CLOSE_TRY_LATER, 'TOO_MANY_CONNECTIONS');
        else if (socket.readyState !== socket.OPEN) release();
        else {
          Object.assign(extra, { viewer, release });
          if (viewer.kind === 'CLIENT_TOKEN') extra.maxMessageBytes = requestBytes.clientToken;
          extra.incoming.trust(() => arrivals.begin(viewer));
          return true;
        }
      } catch (error) {
        const { message, extensions } = masked(error);
        socket.close(extensions.code === 'SERVICE_UNAVAILABLE' ? CLOSE_TRY_LATER : 4500, message.slice(0, 120));
      }
      return false;
    },
    onClose: ({ extra }) => extra.release?.(),
    async onSubscribe({ extra, subscriptions }, id, params) {
      const { viewer } = extra;
      if (!viewer) return [new GraphQLError('Not authenticated.')];
      if (accepted.isClosed) return [withoutHttp(shuttingDown())];
      if (Object.keys(subscriptions).length > maxSubscriptions) {
        return [withoutHttp(rateLimited(`At most ${maxSubscriptions} operations may run on one WebSocket.`, 1))];
      }
      try {
        const allowance = await rateLimits.take(viewer, 1);
        if (allowance?.allowed === false) return [withoutHttp(tooManyOperations(allowance))];
        const { document, faults } = services.runningOperations.during('reading a document', () =>
          readDocument(textOf(params, persisted)),
        );
        if (faults.length > 0) return faults.map(masked);
        const { operationName, variables: variableValues } = params;
        const contextValue = createContext(services, viewer, new SocketWire(extra, id));
        const operation = { document, operationName, variableValues, contextValue };
        const { errors } = await admit({ ...operation, params: { id, ...params } }, rateLimits);
        // The protocol keeps what was sent for as long as the operation runs. The text was read.
        Object.assign(params, { query: '' });
        return errors.length > 0 ? errors.map(masked) : { schema, ...operation };
      } catch (error) {
        // A syntax error thrown here would close the whole socket.
        return [masked(error)];
      }
    },
    onNext(_context, _id, params, args, result) {
      const errors = result.errors && fewErrors(tellCommitted(result.errors, args.contextValue));
      const shown = errors ? { ...result, errors: errors.map(masked) } : result;
      return asksForCost(params) ? withCost(shown, args) : shown;
    },
    onError(_context, _id, _params, errors) {
      return errors.map(masked);
    },
  });

  return openSockets(protocol, {
    logger,
    maxPayloadBytes: requestBytes.key,
    keepAliveSeconds,
  });
}

/** The value of `authorization`, whatever its case, as in an HTTP header. */
function authorizationIn(params: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const entry = Object.entries(params ?? {}).find(([name]) => name.toLowerCase() === 'authorization');
  return typeof entry?.[1] === 'string' ? entry[1] : undefined;
}
