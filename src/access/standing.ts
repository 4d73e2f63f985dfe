import { LRUCache } from 'lru-cache';
import type { Viewer } from './viewer.ts';

/** Why a credential that was good is not any more. */
export type Expiry = 'EXPIRED' | 'REVOKED';

const MOST_REVOKED = 10_000;

/** Whether credentials are still good, as far as this server knows without asking. */
export class Standing {
  /** Keys that were revoked lately; what is older is known from their rows. A key is never honoured again. */
  private readonly revoked = new LRUCache<string, true>({ max: MOST_REVOKED });

  /** This server has heard, or seen, that a key was revoked. */
  revoke(keyId: string): void {
    this.revoked.set(keyId, true);
  }

  /** Null while the credential is good. */
  faultOf({ keyId, expiresAt }: Pick<Viewer, 'keyId' | 'expiresAt'>): Expiry | null {
    if (keyId !== null && this.revoked.has(keyId)) return 'REVOKED';
    return expiresAt !== null && expiresAt.getTime() <= Date.now() ? 'EXPIRED' : null;
  }
}
