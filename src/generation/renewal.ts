/** Answers with how many rows a statement changed. */
type Run = (statement: string) => Promise<number>;

/**
 * The row that says that a server lives. Whoever watches it looks only at whether it changes; the time in it is for servers of
 * the release before, which compare it with the database's clock.
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

  /** From now on under this name, a UUID. */
  take(id: string): void {
    this.id = id;
    this.isRegistered = false;
  }

  /** `LOST`: others have declared this server dead, and it has no name until it takes another. Throws when the database does. */
  async renew(): Promise<'HELD' | 'LOST' | 'NAMELESS'> {
    const { id, seconds } = this;
    if (id === null) return 'NAMELESS';
    const until = `clock_timestamp() + make_interval(secs => ${seconds})`;
    if (this.isRegistered) {
      if ((await this.run(`UPDATE server SET expires_at = ${until} WHERE id = '${id}'`)) > 0) return 'HELD';
      this.id = null;
      return 'LOST';
    }
    // Again, when the answer to the first time was lost.
    await this.run(
      `INSERT INTO server (id, expires_at, lease_seconds) VALUES ('${id}', ${until}, ${seconds})
        ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`,
    );
    this.isRegistered = true;
    return 'HELD';
  }

  /** Gives the lease back, so that nobody has to wait for it to run out. */
  async giveBack(): Promise<void> {
    const { id } = this;
    this.id = null;
    if (id !== null) await this.run(`DELETE FROM server WHERE id = '${id}'`);
  }
}
