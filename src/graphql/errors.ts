import { type ASTNode, GraphQLError } from 'graphql';
import type { Expiry } from '../access/standing.ts';
import { InvalidInputError } from '../errors.ts';

/** A GraphQL error with one of the documented codes and its HTTP status. */
export function graphqlError(
  code: ErrorCode,
  message: string,
  { headers, nodes, ...extensions }: { headers?: Record<string, string>; nodes?: ASTNode; retryAfter?: number } = {},
): GraphQLError {
  const http = { status: statuses[code], headers };
  return new GraphQLError(message, { nodes, extensions: { code, ...extensions, http } });
}

const statuses = {
  UNAUTHENTICATED: 401,
  TOKEN_EXPIRED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  BAD_USER_INPUT: 400,
  RATE_LIMITED: 429,
  SERVICE_UNAVAILABLE: 503,
  START_OVER: 410,
  PERSISTED_QUERY_NOT_FOUND: 404,
  RESPONSE_TOO_LARGE: 400,
  INTERNAL_SERVER_ERROR: 500,
} as const;

export type ErrorCode = keyof typeof statuses;

export function isErrorCode(code: string): code is ErrorCode {
  return code in statuses;
}

export const unauthenticated = () =>
  graphqlError('UNAUTHENTICATED', 'Give a valid API key: `Authorization: Bearer <key>`.');

export const tokenExpired = () =>
  graphqlError('TOKEN_EXPIRED', 'Your credential has expired. Get a new one and go on from where you are.');

/** For a credential that is no longer valid. */
export const noLongerServed = (why: Expiry) => (why === 'EXPIRED' ? tokenExpired() : unauthenticated());

/** `needed` says which credentials are allowed. */
export const forbidden = (needed: string) =>
  graphqlError('FORBIDDEN', `Your credential does not allow this: it is for ${needed}.`);

export const cannotRead = (field: string, nodes: ASTNode) =>
  graphqlError(
    'FORBIDDEN',
    `\`${field}\` needs the scope \`READ\`. Without it a mutation gives ids, versions, cursors and failures.`,
    { nodes },
  );

export const badUserInput = (message: string) => graphqlError('BAD_USER_INPUT', message);

/** `retryAfter` is in seconds. */
export const rateLimited = (message: string, retryAfter: number) =>
  graphqlError('RATE_LIMITED', message, { retryAfter, headers: { 'Retry-After': String(retryAfter) } });

/** Nothing was done, and the client may retry. `retryAfter` is in seconds. */
export const serviceUnavailable = (message: string, retryAfter: number) =>
  graphqlError('SERVICE_UNAVAILABLE', message, { retryAfter, headers: { 'Retry-After': String(retryAfter) } });

/** Ends a stream whose client knows of changes that the database has lost. */
export const startOver = (message: string) => graphqlError('START_OVER', message);

export const tooManyOperations = ({ limit, resetSeconds }: { limit: number; resetSeconds: number }) =>
  rateLimited(`At most ${limit} operations a minute are allowed. Try again in ${resetSeconds} s.`, resetSeconds);

export const requestTooLarge = () =>
  new GraphQLError('Request body too large', { extensions: { code: 'BAD_USER_INPUT', http: { status: 413 } } });

export const responseTooLarge = ({ bytes, fields }: { bytes: number; fields: number }) =>
  graphqlError(
    'RESPONSE_TOO_LARGE',
    `The response would be larger than ${bytes} bytes or hold more than ${fields} fields. Ask for less: smaller pages, fewer fields.`,
  );

export const shuttingDown = () =>
  serviceUnavailable('The server is shutting down. Try again: another one, or this one when it is back, answers.', 1);

export const notFound = (message: string) => graphqlError('NOT_FOUND', message);

/** Turns invalid input into an error of the request, for fields without a result union. */
export function asBadInput(error: unknown): never {
  throw error instanceof InvalidInputError ? badUserInput(error.detail) : error;
}
