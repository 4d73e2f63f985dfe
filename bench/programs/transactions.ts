import pg from 'pg';

let begun = 0;
const open = new WeakSet<object>();

function textOf(statement: unknown): string {
  if (typeof statement === 'string') return statement;
  const isConfig = typeof statement === 'object' && statement !== null && 'text' in statement;
  return isConfig && typeof statement.text === 'string' ? statement.text : '';
}

/**
 * Counts the transactions that this thread begins from now on, each statement outside of one being one itself. PostgreSQL's own count
 * also has those in which it tells a connection of a notification.
 */
export function countTransactions(): void {
  const query: unknown = Reflect.get(pg.Client.prototype, 'query');
  if (typeof query !== 'function') throw new Error('A client of pg has no method query.');
  const counting = function (this: pg.Client, ...given: unknown[]): unknown {
    const [word = ''] = textOf(given[0]).trimStart().split(/\W/, 1);
    if (word === 'COMMIT' || word === 'ROLLBACK') open.delete(this);
    else if (!open.has(this)) {
      begun += 1;
      if (word === 'BEGIN') open.add(this);
    }
    return Reflect.apply(query, this, given);
  };
  Object.defineProperty(pg.Client.prototype, 'query', { value: counting });
}

export const transactions = (): Promise<number> => Promise.resolve(begun);
