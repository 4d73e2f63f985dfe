import { LimitedPool, WatchedClient } from './limited-pool.ts';
import type pg from 'pg';

/**
 * The pool that the queue is worked from. Who takes a connection with a callback, as graphile-worker does in order to listen, keeps it
 * and hears nothing for hours; no other connection may be silent for long.
 */
export class ListeningPool extends LimitedPool {
  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Callback): void;
  override connect(callback?: Callback): Promise<pg.PoolClient> | undefined {
    if (!callback) return super.connect();
    super.connect((error, client, done) => {
      if (client instanceof WatchedClient) client.rest();
      callback(error, client, done);
    });
    return undefined;
  }
}

type Callback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: Error | boolean) => void,
) => void;
