import type { Logger } from '../logger.ts';
import { postgresWindows } from './postgres-windows.ts';
import { type Allowance, RateWindows } from './rate-windows.ts';
import { redisWindows } from './redis-windows.ts';
import type { Viewer } from './viewer.ts';

/** How much a minute; 0 is no limit. */
export interface RateLimitSettings {
  /** Operations of an API key. */
  perKey: number;
  /** Operations of a person with client tokens. */
  perContact: number;
}

/** So many operations a minute for each API key, and for each person that holds client tokens, over all servers on one store. */
export class RateLimits {
  private readonly windows: RateWindows;
  private readonly limits: Record<Viewer['kind'], number>;

  constructor(windows: RateWindows, { perKey, perContact }: RateLimitSettings) {
    this.windows = windows;
    this.limits = { API_KEY: perKey, CLIENT_TOKEN: perContact };
  }

  /** Counts so many operations, all or none of them. Null: there is no limit for this viewer. Never rejects. */
  async take(viewer: Viewer, operations: number): Promise<Allowance | null> {
    const limit = this.limits[viewer.kind];
    return limit === 0 ? null : this.windows.take(limitKeyOf(viewer), limit, operations);
  }
}

/** Who is counted together: all tokens of a person, or of a conversation whose person is not known. */
export function limitKeyOf({ id, contactId }: Viewer): string {
  return contactId === null ? id : `contact:${contactId}`;
}

/** The store that all servers count in: Redis where there is one, or else the database. */
export async function openRateWindows(options: {
  databaseUrl: string;
  redisUrl: string | null;
  logger: Logger;
}): Promise<RateWindows> {
  const { databaseUrl, redisUrl, logger } = options;
  const store =
    redisUrl === null
      ? postgresWindows({ connectionString: databaseUrl, logger })
      : await redisWindows({ url: redisUrl, logger });
  return new RateWindows(store, logger);
}
