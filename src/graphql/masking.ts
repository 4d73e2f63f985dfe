import { randomUUID } from 'node:crypto';
import { GraphQLError, Kind } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { FallenMakerError } from '../access/makers.ts';
import { asUnavailable } from '../database-failure.ts';
import type { Logger } from '../logger.ts';
import { badUserInput, isErrorCode, serviceUnavailable, unauthenticated } from './errors.ts';

/**
 * Makes an error safe to send. An error that a resolver threw on purpose passes. What graphql-js found wrong with the request
 * gets a code. Anything else is logged with a request id, and only the id is sent.
 */
export function maskError(error: unknown, logger: Logger): GraphQLError {
  if (error instanceof GraphQLError) {
    // Errors thrown by resolvers have a path, and errors that end a stream name the operation. Without either, a value of the
    // request did not match its type.
    if (!error.path && error.nodes?.every(({ kind }) => kind !== Kind.OPERATION_DEFINITION)) return clientFault(error);
    const original = originalOf(error);
    if (original instanceof GraphQLError) return original.extensions.code === undefined ? clientFault(error) : error;
  }
  if (error instanceof GraphQLError && originalOf(error) instanceof FallenMakerError) {
    const { message, extensions } = unauthenticated();
    return new GraphQLError(message, { ...located(error), extensions });
  }
  const unavailable = asUnavailable(error instanceof GraphQLError ? originalOf(error) : error);
  if (unavailable) {
    logger.warn({ err: error instanceof GraphQLError ? originalOf(error) : error }, 'refused what cannot be done now');
    const { message, extensions } = serviceUnavailable(unavailable.message, unavailable.retryAfter);
    return new GraphQLError(message, { ...(error instanceof GraphQLError && located(error)), extensions });
  }
  const requestId = randomUUID();
  logger.error(
    { err: error instanceof GraphQLError ? (error.originalError ?? error) : error, requestId },
    'internal error',
  );
  const committed = error instanceof GraphQLError ? error.extensions.committed : undefined;
  return new GraphQLError(`Internal error. When you report it, name the request ${requestId}.`, {
    ...(error instanceof GraphQLError && located(error)),
    extensions: {
      code: 'INTERNAL_SERVER_ERROR',
      requestId,
      // A status of 500 would make clients and proxies repeat a committed change.
      ...(committed === undefined ? { http: { status: 500 } } : { committed }),
    },
  });
}

/** Gives the documented code to the errors that Yoga itself finds in a request. */
export const documentedCodes: Plugin = {
  onResultProcess(payload) {
    const { result } = payload;
    if (Array.isArray(result) || !('errors' in result) || !result.errors) return;
    const errors = fewErrors(result.errors);
    payload.setResult({ ...result, errors: errors.map((error) => (isYogaFault(error) ? clientFault(error) : error)) });
  },
};

/** The most errors in one response. `RESPONSE_TOO_LARGE` is reported only once. */
const MAX_ERRORS = 100;

/** The errors to send. A limited number, so that a response with many errors stays small. */
export function fewErrors(errors: readonly GraphQLError[]): readonly GraphQLError[] {
  const isExcess = ({ extensions }: GraphQLError) => extensions.code === 'RESPONSE_TOO_LARGE';
  const first = errors.findIndex(isExcess);
  return errors.filter((error, index) => index === first || !isExcess(error)).slice(0, MAX_ERRORS);
}

function isYogaFault({ extensions: { code } }: GraphQLError): boolean {
  return typeof code === 'string' && !isErrorCode(code);
}

/** The error as sent on a WebSocket, where an HTTP status has no meaning. */
export function withoutHttp(error: GraphQLError): GraphQLError {
  const { http: _http, ...extensions } = error.extensions;
  return new GraphQLError(error.message, { ...located(error), extensions });
}

function clientFault(error: GraphQLError): GraphQLError {
  const { extensions } = badUserInput(error.message);
  const { code, http } = error.extensions;
  const { spec, ...plain } = isObject(http) ? http : {};
  // For a well-formed request the status depends on the media type that the client accepts.
  const status = code === 'BAD_REQUEST' ? plain : { ...plain, spec };
  return new GraphQLError(clipped(error.message), {
    ...located(error),
    extensions: { ...extensions, ...(isObject(http) && { http: status }) },
  });
}

/** Shortens a message: graphql-js quotes the faulty value whole, which may be as long as the request. */
function clipped(message: string): string {
  return message.length > 1000 ? `${message.slice(0, 1000)}…` : message;
}

function located({ nodes, source, positions, path }: GraphQLError) {
  return { nodes, source, positions, path };
}

function originalOf(error: GraphQLError): unknown {
  let original: unknown = error;
  while (original instanceof GraphQLError && original.originalError) original = original.originalError;
  return original;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
