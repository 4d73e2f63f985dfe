import { LRUCache } from 'lru-cache';
import type { Queryable } from '../db.ts';
import { findViewerByKey, hashCredential } from './api-keys.ts';
import { findViewerByToken, isClientToken } from './client-tokens.ts';
import { findViewerByOperatorToken, isOperatorToken } from './operator-tokens.ts';
import type { Viewer } from './viewer.ts';

/** How long an answer of the database about a credential is cached, in milliseconds. */
const BELIEVED_MS = 1000;

/** How many valid credentials are cached, and how many invalid ones. The invalid ones cannot displace the valid ones. */
const MOST_KNOWN = 10_000;
const MOST_UNKNOWN = 1000;

interface Remembered {
  viewer: Viewer | null;
  until: number;
}

/**
 * Finds the viewer of a credential, cached for a second by the credential's hash. Does not check whether the credential is
 * still valid.
 */
export class Credentials {
  private readonly db: Queryable;
  private readonly known = new LRUCache<string, Remembered>({ max: MOST_KNOWN });
  private readonly unknown = new LRUCache<string, Remembered>({ max: MOST_UNKNOWN });
  /** Queries under way. Requests with the same credential share one query. */
  private readonly asking = new Map<string, Promise<Viewer | null>>();

  constructor(db: Queryable) {
    this.db = db;
  }

  /** The viewer, even if the credential has expired. Null if it is unknown or was revoked. */
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
    // Counted from before the query: a change after this moment may be missing from the answer.
    const until = performance.now() + BELIEVED_MS;
    const viewer = isClientToken(credential)
      ? await findViewerByToken(this.db, credential)
      : isOperatorToken(credential)
        ? await findViewerByOperatorToken(this.db, credential)
        : await findViewerByKey(this.db, credential);
    const [here, there] = viewer ? [this.known, this.unknown] : [this.unknown, this.known];
    here.set(hash, { viewer, until });
    there.delete(hash);
    return viewer;
  }
}
