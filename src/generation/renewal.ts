/** Runs a statement and returns how many rows it changed. */
type Run = (statement: string) => Promise<number>;

/**
 * The row that shows that a server is alive. Observers check only whether it changes. Its time is for servers of
 * the previous release, which compare it with the database's clock.
 */
export class Renewal {
  private readonly run: Run;
  private readonly seconds: number;
  private id: string | null = null;
  private isRegistered = false;

  constructor(run: Run, seconds: number) {
    this.run = run;
    this.seconds = seconds;
  }

  /** Uses this id, a UUID, from now on. */
  take(id: string): void {
    this.id = id;
    this.isRegistered = false;
  }

  /** `LOST`: other servers have declared this server dead, and it has no id until it takes another. Throws if the database fails. */
  async renew(): Promise<'HELD' | 'LOST' | 'NAMELESS'> {
    const { id, seconds } = this;
    if (id === null) return 'NAMELESS';
    const until = `clock_timestamp() + make_interval(secs => ${seconds})`;
    if (this.isRegistered) {
      if ((await this.run(`UPDATE server SET expires_at = ${until} WHERE id = '${id}'`)) > 0) return 'HELD';
      this.id = null;
      return 'LOST';
    }
    // A repetition, if the first answer was lost, does no harm.
    await this.run(
      `INSERT INTO server (id, expires_at, lease_seconds) VALUES ('${id}', ${until}, ${seconds})
        ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`,
    );
    this.isRegistered = true;
    return 'HELD';
  }

  /** Gives the lease back, so that nobody has to wait until it expires. */
  async giveBack(): Promise<void> {
    const { id } = this;
    this.id = null;
    if (id !== null) await this.run(`DELETE FROM server WHERE id = '${id}'`);
  }
}
