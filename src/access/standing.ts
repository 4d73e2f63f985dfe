import { LRUCache } from 'lru-cache';
import type { OperatorHolder } from './caller.ts';
import type { TokenHolder } from './client-tokens.ts';
import type { Viewer } from './viewer.ts';

/** Why a credential is no longer valid. */
export type Expiry = 'EXPIRED' | 'REVOKED';

/** What decides whether a credential is still valid. */
export type Holder = Pick<Viewer, 'keyId' | 'expiresAt' | 'contactId' | 'inboxId' | 'tokenGeneration' | 'endsWith'>;

const MOST_REVOKED = 10_000;

/** Whether credentials are still valid, as far as this server knows without a query. */
export class Standing {
  /** Keys revoked lately. Earlier revocations are known from the keys' rows. A revoked key never becomes valid again. */
  private readonly revoked = new LRUCache<string, true>({ max: MOST_REVOKED });

  /** Generations of people's and operators' tokens that were ended lately, and web chats deleted lately. None of them comes back. */
  private readonly ended = new LRUCache<string, true>({ max: MOST_REVOKED });

  /** Records that a key was revoked. */
  revoke(keyId: string): void {
    this.revoked.set(keyId, true);
  }

  /** Records that a web chat was deleted. Its visits end with it. */
  endInbox(inboxId: string): void {
    this.ended.set(`inbox ${inboxId}`, true);
  }

  /** Records that the tokens of a person were ended. */
  endTokens({ contactId, tokenGeneration }: TokenHolder): void {
    this.ended.set(`${contactId} ${tokenGeneration}`, true);
  }

  /** Records that the credentials of an operator were ended. */
  endOperator({ operatorId, operatorGeneration }: OperatorHolder): void {
    this.ended.set(`${operatorId} ${operatorGeneration}`, true);
  }

  /** Null while the credential is valid. */
  faultOf({ keyId, expiresAt, contactId, inboxId, tokenGeneration, endsWith }: Holder): Expiry | null {
    if (keyId !== null && this.revoked.has(keyId)) return 'REVOKED';
    if (contactId !== null && this.ended.has(`${contactId} ${tokenGeneration}`)) return 'REVOKED';
    if (inboxId !== undefined && this.ended.has(`inbox ${inboxId}`)) return 'REVOKED';
    if (endsWith.some((holder) => this.ended.has(`${holder.operatorId} ${holder.operatorGeneration}`)))
      return 'REVOKED';
    return expiresAt !== null && expiresAt.getTime() <= Date.now() ? 'EXPIRED' : null;
  }
}
