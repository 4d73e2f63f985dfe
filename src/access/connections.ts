import type { Queryable } from '../db.ts';
import type { Logger } from '../logger.ts';
import { findRevokedKeys } from './api-keys.ts';
import { findEndedTokens, findGoneInboxes } from './client-tokens.ts';
import { findEndedOperators } from './operator-tokens.ts';
import { countedTogether } from './rate-limits.ts';
import type { Expiry, Holder, Standing } from './standing.ts';
import type { Viewer } from './viewer.ts';

/** How often the credentials of open connections are checked, in milliseconds. */
const CHECK_MS = 750;

interface Connection {
  viewer: Holder;
  drop: (why: Expiry) => void;
}

/**
 * The open sockets and streams of this server, limited per viewer and for the anonymous visitors of a network together, and the requests that wait. Each ends when its credential
 * is no longer valid.
 */
export class Connections {
  private readonly db: Queryable;
  private readonly logger: Logger;
  private readonly standing: Standing;
  private readonly limit: number;
  private readonly open = new Set<Connection>();
  /** How many connections count under a key. Who has none has no entry. */
  private readonly counts = new Map<string, number>();
  private readonly waiting = new Set<Connection>();
  private readonly timer: NodeJS.Timeout;
  private checking = false;

  constructor(options: { db: Queryable; logger: Logger; standing: Standing; limit: number }) {
    this.db = options.db;
    this.logger = options.logger;
    this.standing = options.standing;
    this.limit = options.limit;
    this.timer = setInterval(() => void this.check(), CHECK_MS);
  }

  /** Counts a connection until the returned function is called. Null: the viewer has too many. `drop` is called at most once. */
  add(viewer: Viewer, drop: (why: Expiry) => void): (() => void) | null {
    const counted = [{ key: viewer.id, times: 1 }, ...countedTogether(viewer)];
    if (counted.some(({ key, times }) => (this.counts.get(key) ?? 0) >= this.limit * times)) return null;
    const connection = { viewer, drop };
    this.open.add(connection);
    for (const { key } of counted) this.count(key, 1);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.open.delete(connection);
      for (const { key } of counted) this.count(key, -1);
    };
  }

  /** Watches a waiting request without counting it as a connection. `drop` is called at most once. */
  watch(viewer: Holder, drop: (why: Expiry) => void): () => void {
    const connection = { viewer, drop };
    this.waiting.add(connection);
    return () => this.waiting.delete(connection);
  }

  /** Drops at once everything that depends on this key. */
  revoke(keyId: string): void {
    this.standing.revoke(keyId);
    this.dropFaulty();
  }

  close(): void {
    clearInterval(this.timer);
    this.open.clear();
    this.waiting.clear();
  }

  private count(key: string, by: number): void {
    const count = (this.counts.get(key) ?? 0) + by;
    if (count > 0) this.counts.set(key, count);
    else this.counts.delete(key);
  }

  private async check(): Promise<void> {
    if (this.checking || this.open.size + this.waiting.size === 0) return;
    this.checking = true;
    try {
      this.dropFaulty();
      const ids = new Set([...this.all()].flatMap(({ viewer: { keyId } }) => keyId ?? []));
      const inboxes = new Set([...this.all()].flatMap(({ viewer: { inboxId } }) => inboxId ?? []));
      const people = new Map(
        [...this.all()].flatMap(({ viewer: { contactId, tokenGeneration } }) =>
          contactId === null ? [] : [[`${contactId} ${tokenGeneration}`, { contactId, tokenGeneration }] as const],
        ),
      );
      const operators = new Map(
        [...this.all()].flatMap(({ viewer: { endsWith } }) =>
          endsWith.map((holder) => [`${holder.operatorId} ${holder.operatorGeneration}`, holder] as const),
        ),
      );
      const [keys, gone, ended, endedOperators] = await Promise.all([
        ids.size > 0 ? findRevokedKeys(this.db, [...ids]) : [],
        inboxes.size > 0 ? findGoneInboxes(this.db, [...inboxes]) : [],
        people.size > 0 ? findEndedTokens(this.db, [...people.values()]) : [],
        operators.size > 0 ? findEndedOperators(this.db, [...operators.values()]) : [],
      ]);
      for (const id of keys) this.standing.revoke(id);
      for (const id of gone) this.standing.endInbox(id);
      for (const holder of ended) this.standing.endTokens(holder);
      for (const holder of endedOperators) this.standing.endOperator(holder);
      this.dropFaulty();
    } catch (error) {
      this.logger.warn({ err: error }, 'could not check the credentials of open connections');
    } finally {
      this.checking = false;
    }
  }

  private dropFaulty(): void {
    for (const connections of [this.waiting, this.open]) {
      for (const connection of [...connections]) {
        const fault = this.standing.faultOf(connection.viewer);
        if (!fault) continue;
        connections.delete(connection);
        connection.drop(fault);
      }
    }
  }

  private *all(): Generator<Connection> {
    yield* this.waiting;
    yield* this.open;
  }
}
