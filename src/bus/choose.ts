import type { Logger } from '../logger.ts';
import type { Bus } from './hints.ts';

export interface BusChoice {
  /** `memory:`, `redis://…`, `rediss://…`, `nats://…`, `tls://…` or `postgres://…`; unset means PostgreSQL at `databaseUrl`. */
  eventsUrl: string | undefined;
  databaseUrl: string;
  /** See `readBusKey`. */
  key: string;
  logger: Logger;
}

/**
 * The bus for these settings, not connected yet. Loads only the adapter in use. A new bus is a file like `redis.ts`, which gives
 * `linked-bus.ts` a `Link`, a case here, and a line in the contract suite.
 */
export async function chooseBus({ eventsUrl, databaseUrl, key, logger }: BusChoice): Promise<Bus> {
  const url = eventsUrl ?? databaseUrl;
  const scheme = url.slice(0, url.indexOf(':'));
  switch (scheme) {
    case 'memory': {
      const { inProcessBus } = await import('./in-process.ts');
      return inProcessBus({ logger });
    }
    case 'redis':
    case 'rediss': {
      const { redisBus } = await import('./redis.ts');
      return redisBus({ url, key, logger });
    }
    case 'nats':
    case 'tls': {
      const { natsBus } = await import('./nats.ts');
      return natsBus({ url, key, logger });
    }
    default: {
      const { postgresBus } = await import('./postgres.ts');
      return postgresBus({ connectionString: url, key, logger });
    }
  }
}
