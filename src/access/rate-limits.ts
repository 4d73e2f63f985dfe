import type { Logger } from '../logger.ts';
import { postgresWindows } from './postgres-windows.ts';
import { type Allowance, RateWindows } from './rate-windows.ts';
import { redisWindows } from './redis-windows.ts';
import type { Viewer } from './viewer.ts';

/** Limits per minute. 0 means no limit. */
export interface RateLimitSettings {
  /** Operations of an API key, or of an operator. */
  perKey: number;
  /** Operations of a person with client tokens. */
  perContact: number;
  /** Visits that begin from one network address, and as many requests of browsers there that sign in. */
  perAddress: number;
}

/** How many times what one person may do the anonymous visitors of one network may do together: an office shares an address. */
export const VISITORS_OF_NETWORK = 10;

/**
 * Limits operations per minute for each API key, each person with client tokens, the anonymous visitors of each network together,
 * and each address that visits and sign-ins come from, across all servers that share a store.
 */
export class RateLimits {
  private readonly windows: RateWindows;
  private readonly limits: Record<Viewer['kind'], number>;

  constructor(windows: RateWindows, { perKey, perContact, perAddress }: RateLimitSettings) {
    this.windows = windows;
    this.limits = { API_KEY: perKey, CLIENT_TOKEN: perContact, OPERATOR: perKey, STRANGER: perAddress };
  }

  /** Counts this many operations, or none of them if they exceed the limit. Null: this viewer has no limit. Never rejects. */
  async take(viewer: Viewer, operations: number): Promise<Allowance | null> {
    const limit = this.limits[viewer.kind];
    if (limit === 0) return null;
    let own: Allowance | null = null;
    for (const { key, times } of countedUnder(viewer)) {
      const allowance = await this.windows.take(key, limit * times, operations);
      if (!allowance.allowed) return allowance;
      own ??= allowance;
    }
    return own;
  }

  /** Counts a request of a browser that signs in from this network. Null: there is no limit. Never rejects. */
  async takeSignIn(network: string): Promise<Allowance | null> {
    const limit = this.limits.STRANGER;
    return limit === 0 ? null : this.windows.take(`sign-in:${network}`, limit, 1);
  }
}

/** The key to count under. All tokens of a person share one, or all tokens of a conversation whose person is unknown. */
export function limitKeyOf({ id, contactId }: Viewer): string {
  return contactId === null ? id : `contact:${contactId}`;
}

/** A key that a viewer is counted under, and how many times the limit of one viewer it has. */
export interface Counted {
  key: string;
  times: number;
}

/** All that a viewer is counted under, their own key first. */
export function countedUnder(viewer: Viewer): readonly Counted[] {
  return [{ key: limitKeyOf(viewer), times: 1 }, ...countedTogether(viewer)];
}

/** What an anonymous visitor is counted under with all others of their network. Nothing for everybody else. */
export function countedTogether({ kind, network }: Viewer): readonly Counted[] {
  if (kind !== 'CLIENT_TOKEN' || network === undefined) return [];
  return [visitorsOf(network)];
}

export function visitorsOf(network: string): Counted {
  return { key: `visitors:${network}`, times: VISITORS_OF_NETWORK };
}

/** The store that all servers count in: Redis if there is one, else the database. */
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
