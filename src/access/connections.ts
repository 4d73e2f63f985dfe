import type { Queryable } from '../db.ts';
import type { Logger } from '../logger.ts';
import { findRevokedKeys } from './api-keys.ts';
import type { Viewer } from './viewer.ts';

/** How often credentials of open connections are looked at, in milliseconds. */
const CHECK_MS = 1000;

/** Why a connection must end: its credential was good when it was opened. */
export type Expiry = 'EXPIRED' | 'REVOKED';

interface Connection {
  viewer: Viewer;
  drop: (why: Expiry) => void;
}

/** The open sockets and streams of this server: so many for each viewer, and none for longer than its credential is good. */
export class Connections {
  private readonly db: Queryable;
  private readonly logger: Logger;
  private readonly limit: number;
  private readonly open = new Map<string, Set<Connection>>();
  private readonly timer: NodeJS.Timeout;
  private checking = false;

  constructor(options: { db: Queryable; logger: Logger; limit: number }) {
    this.db = options.db;
    this.logger = options.logger;
    this.limit = options.limit;
    this.timer = setInterval(() => void this.check(), CHECK_MS);
  }

  /** Takes a place; the returned function gives it back. Null: the viewer has none left. `drop` is called at most once. */
  add(viewer: Viewer, drop: (why: Expiry) => void): (() => void) | null {
    const connections = this.open.get(viewer.id) ?? new Set();
    if (connections.size >= this.limit) return null;
    const connection = { viewer, drop };
    connections.add(connection);
    this.open.set(viewer.id, connections);
    return () => {
      connections.delete(connection);
      if (connections.size === 0 && this.open.get(viewer.id) === connections) this.open.delete(viewer.id);
    };
  }

  close(): void {
    clearInterval(this.timer);
    this.open.clear();
  }

  private async check(): Promise<void> {
    if (this.checking || this.open.size === 0) return;
    this.checking = true;
    try {
      const now = new Date();
      this.drop(({ expiresAt }) => expiresAt !== null && expiresAt <= now, 'EXPIRED');
      const keys = [...this.open.values()].flatMap((connections) => [...connections].map(({ viewer }) => viewer.keyId));
      const ids = [...new Set(keys)].filter((id) => id !== null);
      if (ids.length === 0) return;
      const revoked = await findRevokedKeys(this.db, ids);
      this.drop(({ keyId }) => keyId !== null && revoked.has(keyId), 'REVOKED');
    } catch (error) {
      this.logger.warn({ err: error }, 'could not check the credentials of open connections');
    } finally {
      this.checking = false;
    }
  }

  private drop(isOver: (viewer: Viewer) => boolean, why: Expiry): void {
    for (const connections of [...this.open.values()]) {
      for (const connection of [...connections]) {
        if (!isOver(connection.viewer)) continue;
        connections.delete(connection);
        connection.drop(why);
      }
    }
  }
}
