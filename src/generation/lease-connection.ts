import { Socket } from 'node:net';
import pg from 'pg';

/** One connection for statements that must be answered in time. A connection that does not answer is replaced. */
export class LeaseConnection {
  private readonly url: string;
  private readonly limitMs: number;
  private open: { socket: Socket; client: Promise<pg.Client> } | null = null;

  /** `limitMs`: how long connecting and a statement may take together. */
  constructor(url: string, limitMs: number) {
    this.url = url;
    this.limitMs = limitMs;
  }

  /**
   * Runs a statement without parameters, which must be safe to repeat. Returns how many rows it changed. Settles within
   * twice the limit: an old connection may be half dead, so a statement that fails on it is retried on a new one.
   */
  async run(statement: string): Promise<number> {
    if (this.open) {
      try {
        return await this.attempt(statement);
      } catch {
        // Not reported: if the next attempt fails too, it reports its own error.
      }
    }
    return this.attempt(statement);
  }

  close(): void {
    this.open?.socket.destroy();
    this.open = null;
  }

  private async attempt(statement: string): Promise<number> {
    const connection = (this.open ??= this.connect());
    const late = new Error(`The database did not answer within ${this.limitMs} ms.`);
    let giveUp: NodeJS.Immediate | undefined;
    // When this process stood still, its timers run before what came meanwhile is read.
    const deadline = setTimeout(() => {
      giveUp = setImmediate(() => connection.socket.destroy(late));
    }, this.limitMs);
    try {
      const client = await connection.client;
      // Set in the statement's own transaction, since a pooler refuses session settings.
      const results: unknown = await client.query(`SET LOCAL statement_timeout = ${this.limitMs}; ${statement}`);
      return changedBy(Array.isArray(results) ? results.at(-1) : results);
    } catch (error) {
      this.close();
      throw connection.socket.errored ?? error;
    } finally {
      clearTimeout(deadline);
      clearImmediate(giveUp);
    }
  }

  private connect(): { socket: Socket; client: Promise<pg.Client> } {
    const socket = new Socket();
    const client = new pg.Client({
      connectionString: this.url,
      application_name: 'parley lease',
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      stream: () => socket,
    });
    // A running statement fails with its connection. Between statements, the next one notices.
    client.on('error', () => undefined);
    return { socket, client: client.connect().then(() => client) };
  }
}

function changedBy(result: unknown): number {
  const hasCount = typeof result === 'object' && result !== null && 'rowCount' in result;
  return hasCount && typeof result.rowCount === 'number' ? result.rowCount : 0;
}
