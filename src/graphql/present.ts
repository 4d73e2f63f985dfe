/**
 * A row that was found by its id. In place of `findUniqueOrThrow`: Prisma joins the look-ups of one moment into one query only
 * when they are alike, and reads others in a transaction, which it gives up when none can be had within two seconds.
 */
export function present<T>(row: T | null): T {
  if (row === null) throw new Error('A row that is referred to is gone.');
  return row;
}
