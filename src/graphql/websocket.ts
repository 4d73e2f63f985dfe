import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { GraphQLError, parse, validate } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import type { Viewer } from '../access/viewer.ts';
import type { Logger } from '../observability.ts';
import { createContext, type Services } from './context.ts';
import { MAX_REQUEST_BYTES } from './http.ts';
import { maskError, withoutHttp } from './masking.ts';
import { schema } from './schema.ts';

/** Closes a socket whose credential is missing or wrong. Clients do not retry it. */
const CLOSE_UNAUTHENTICATED = 4401;

export interface WebSockets {
  /** Takes over a connection that asks for an upgrade. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes every socket with a code that makes clients reconnect. */
  close(): Promise<void>;
}

type Extra = { viewer?: Viewer };

/** The API over WebSocket, in the `graphql-transport-ws` protocol. */
export function createWebSockets(options: {
  services: Services;
  log: Logger;
  /** `credential` is what the connection's first message gave as `authorization`. */
  authenticate: (req: IncomingMessage, credential: string | undefined) => Promise<Viewer | null>;
}): WebSockets {
  const { services, log, authenticate } = options;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_REQUEST_BYTES });
  const masked = (error: unknown) => withoutHttp(maskError(error, log));

  const server = useServer<Record<string, unknown>, Extra>(
    {
      async onConnect({ connectionParams, extra }) {
        try {
          const viewer = await authenticate(extra.request, authorizationIn(connectionParams));
          if (viewer) {
            extra.viewer = viewer;
            return true;
          }
          extra.socket.close(CLOSE_UNAUTHENTICATED, 'UNAUTHENTICATED');
        } catch (error) {
          extra.socket.close(4500, masked(error).message.slice(0, 120));
        }
        return false;
      },
      async onSubscribe({ extra }, _id, params) {
        const { viewer } = extra;
        if (!viewer) return [new GraphQLError('Not authenticated.')];
        try {
          const document = parse(params.query);
          const faults = validate(schema, document);
          if (faults.length > 0) return faults.map(masked);
          const { operationName, variables: variableValues } = params;
          return { schema, document, operationName, variableValues, contextValue: createContext(services, viewer) };
        } catch (error) {
          // A syntax error thrown from here would close the whole socket.
          return [masked(error)];
        }
      },
      onNext(_context, _id, _params, _args, result) {
        return result.errors ? { ...result, errors: result.errors.map(masked) } : result;
      },
      onError(_context, _id, _params, errors) {
        return errors.map((error) => (error instanceof GraphQLError ? withoutHttp(error) : masked(error)));
      },
    },
    sockets,
  );

  return {
    upgrade(req, socket, head) {
      sockets.handleUpgrade(req, socket, head, (ws) => sockets.emit('connection', ws, req));
    },
    async close() {
      await server.dispose();
    },
  };
}

/** From `authorization`, however it is spelled, as HTTP would carry it. */
function authorizationIn(params: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const entry = Object.entries(params ?? {}).find(([name]) => name.toLowerCase() === 'authorization');
  return typeof entry?.[1] === 'string' ? entry[1] : undefined;
}
