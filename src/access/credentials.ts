import { LRUCache } from 'lru-cache';
import type { Queryable } from '../db.ts';
import { findViewerByKey, hashCredential } from './api-keys.ts';
import { findViewerByToken, isClientToken } from './client-tokens.ts';
import type { Viewer } from './viewer.ts';

/** How long what the database says of a credential is believed, in milliseconds. */
const BELIEVED_MS = 1000;

/** How many credentials are remembered, and how many that are none: these push out only each other. */
const MOST_KNOWN = 10_000;
const MOST_UNKNOWN = 1000;

interface Remembered {
  viewer: Viewer | null;
  until: number;
}

/**
 * Who holds which credential, remembered for a second by the hash of the credential. Whether it is still good is not asked
 * here.
 */
export class Credentials {
  private readonly db: Queryable;
  private readonly known = new LRUCache<string, Remembered>({ max: MOST_KNOWN });
  private readonly unknown = new LRUCache<string, Remembered>({ max: MOST_UNKNOWN });
  /** Those that are being asked about: one question for all that come meanwhile. */
  private readonly asking = new Map<string, Promise<Viewer | null>>();

  constructor(db: Queryable) {
    this.db = db;
  }

  /** The holder, also when the credential has expired; null when it is none, or was revoked. */
  async holderOf(credential: string): Promise<Viewer | null> {
    const hash = hashCredential(credential);
    const remembered = this.known.get(hash) ?? this.unknown.get(hash);
    if (remembered && performance.now() < remembered.until) return remembered.viewer;
    let asking = this.asking.get(hash);
    if (!asking) {
      asking = this.ask(credential, hash).finally(() => this.asking.delete(hash));
      this.asking.set(hash, asking);
    }
    return asking;
  }

  private async ask(credential: string, hash: string): Promise<Viewer | null> {
    // From before the question: what happens after it may not be in the answer.
    const until = performance.now() + BELIEVED_MS;
    const viewer = isClientToken(credential)
      ? await findViewerByToken(this.db, credential)
      : await findViewerByKey(this.db, credential);
    const [here, there] = viewer ? [this.known, this.unknown] : [this.unknown, this.known];
    here.set(hash, { viewer, until });
    there.delete(hash);
    return viewer;
  }
}
