import { UnavailableError } from './errors.ts';

/** PostgreSQL's codes for a shutdown, too many connections, a timeout, or a lock held by others. */
const passingStates = /^(08...|53...|57P0[1-5]|57014|55P03|25P03|40P01)$/;

/** System error codes for connection failures, and Prisma's codes for the same. */
const passingCodes = new Set([
  ...[
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'ENOTFOUND',
    'EAI_AGAIN',
    'ENOENT',
  ],
  ...['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028', 'P2037'],
]);

/** Messages of pg's errors that have no code. */
const passingMessages =
  /^(Connection terminated|Client has encountered a connection error|Cannot use a pool after|Query read timeout|Server has closed the connection)/;

/** Whether a statement was cancelled, as after its time. */
export function isQueryCanceled(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, 'code') === '57014';
}

/** Turns a transient database error into an `UnavailableError`. Null for any other error. */
export function asUnavailable(error: unknown): UnavailableError | null {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; depth += 1) {
    if (cause instanceof UnavailableError) return cause;
    if (passes(cause)) {
      return new UnavailableError(
        'The database cannot be reached, or is too slow. The operation may or may not have been done: try again, with the same idempotency key.',
        1,
      );
    }
    cause = cause.cause ?? driverErrorOf(cause);
  }
  return null;
}

function passes(error: Error): boolean {
  const codes = ['code', 'originalCode'].map((name): unknown => Reflect.get(error, name));
  return (
    codes.some((code) => typeof code === 'string' && (passingStates.test(code) || passingCodes.has(code))) ||
    passingMessages.test(error.message)
  );
}

/** The driver's error inside a Prisma error. It is not always an Error. */
function driverErrorOf(error: Error): unknown {
  const meta: unknown = Reflect.get(error, 'meta');
  if (typeof meta !== 'object' || meta === null || !('driverAdapterError' in meta)) return undefined;
  const { driverAdapterError: driverError } = meta;
  if (!(driverError instanceof Error)) return undefined;
  const { cause } = driverError;
  return typeof cause === 'object' && cause !== null && !(cause instanceof Error)
    ? Object.assign(new Error('the driver failed'), cause)
    : driverError;
}
