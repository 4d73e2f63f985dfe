/** A server's row as read. The version changes whenever the row does. */
export interface ServerRow {
  id: string;
  version: string;
  /** Null in rows of the previous release. The observer's own lease is assumed for them. */
  leaseSeconds: number | null;
}

/**
 * Judges which servers are dead: those whose row has not changed for a lease, by the observer's own monotonic clock. It compares
 * no wall clocks. The time between two checks counts for little more than a quarter of a lease, however long it was, since the
 * observer cannot know whether other servers could reach the database meanwhile.
 */
export class ServerWatch {
  private readonly leaseMs: number;
  private readonly standing = new Map<string, { version: string; ms: number }>();
  private beforeMs: number | null = null;
  private watchedMs = 0;

  constructor(leaseSeconds: number) {
    this.leaseMs = leaseSeconds * 1000;
  }

  /** Whether the observer could reach the database for a whole lease. */
  isSteady(): boolean {
    return this.watchedMs >= this.leaseMs;
  }

  /** Forgets what was seen before an outage of the database. */
  forget(): void {
    this.standing.clear();
    this.beforeMs = null;
    this.watchedMs = 0;
  }

  /**
   * Takes the rows of a check with the times at which it was begun and answered, in milliseconds of a monotonic clock. Returns
   * the servers that are dead. Call it four times per lease. `ownId` is never among them.
   */
  look(rows: readonly ServerRow[], begunMs: number, answeredMs: number, ownId: string): ServerRow[] {
    const passed = this.beforeMs === null ? 0 : Math.max(0, begunMs - this.beforeMs);
    if (passed > this.leaseMs) this.forget();
    const counted = passed > this.leaseMs ? 0 : Math.min(passed, 0.375 * this.leaseMs);
    this.beforeMs = answeredMs;
    this.watchedMs += counted;
    const dead: ServerRow[] = [];
    const ids = new Set(rows.map(({ id }) => id));
    for (const id of this.standing.keys()) if (!ids.has(id)) this.standing.delete(id);
    for (const row of rows) {
      const known = this.standing.get(row.id);
      const ms = known?.version === row.version ? known.ms + counted : 0;
      this.standing.set(row.id, { version: row.version, ms });
      const leaseMs = row.leaseSeconds === null ? this.leaseMs : row.leaseSeconds * 1000;
      if (row.id !== ownId && ms >= leaseMs) dead.push(row);
    }
    return dead;
  }
}
