/**
 * A row that was found by its id. Used instead of `findUniqueOrThrow`: Prisma joins look-ups made at the same time into one
 * query only if they are alike. Others it runs in a transaction, which fails if it cannot start within two seconds.
 */
export function present<T>(row: T | null): T {
  if (row === null) throw new Error('A row that is referred to is gone.');
  return row;
}
