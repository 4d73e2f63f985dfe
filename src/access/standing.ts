import { LRUCache } from 'lru-cache';
import type { Viewer } from './viewer.ts';

/** Why a credential is no longer valid. */
export type Expiry = 'EXPIRED' | 'REVOKED';

const MOST_REVOKED = 10_000;

/** Whether credentials are still valid, as far as this server knows without a query. */
export class Standing {
  /** Keys revoked lately. Earlier revocations are known from the keys' rows. A revoked key never becomes valid again. */
  private readonly revoked = new LRUCache<string, true>({ max: MOST_REVOKED });

  /** Records that a key was revoked. */
  revoke(keyId: string): void {
    this.revoked.set(keyId, true);
  }

  /** Null while the credential is valid. */
  faultOf({ keyId, expiresAt }: Pick<Viewer, 'keyId' | 'expiresAt'>): Expiry | null {
    if (keyId !== null && this.revoked.has(keyId)) return 'REVOKED';
    return expiresAt !== null && expiresAt.getTime() <= Date.now() ? 'EXPIRED' : null;
  }
}
