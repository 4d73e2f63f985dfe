import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { onTestFailed } from 'vitest';
import type { Fleet, FleetServer } from './fleet.ts';
import { Random } from './random.ts';
import type { RestartablePostgres } from './restartable-postgres.ts';

export interface ChaosOptions {
  fleet: Fleet;
  postgres: RestartablePostgres;
  /** How many replies a server has been asked for that have not ended. */
  load: (server: FleetServer) => number;
  /** Ends the chaos early. */
  signal: AbortSignal;
}

/** What befalls servers, one thing after another in an order that depends on the seed. CHAOS_SEED repeats an earlier one. */
export class Chaos {
  readonly random = new Random(Number(process.env['CHAOS_SEED'] ?? Date.now() % 2 ** 32));
  private readonly options: ChaosOptions;
  private readonly history: string[] = [];
  private readonly replacements: Promise<unknown>[] = [];

  /** To be called in a test: when it fails, it says what happened. */
  constructor(options: ChaosOptions) {
    this.options = options;
    onTestFailed(() => {
      const { servers } = options.fleet;
      const said = servers.map(({ url, stderr }) => `${url} said:\n${stderr}`);
      console.error([`CHAOS_SEED=${this.random.seed}`, ...this.history, ...said].join('\n'));
    });
  }

  /** Resolves when it is over, as many servers run as before, and each of them is whole again. */
  async reign(): Promise<void> {
    const { signal } = this.options;
    const startedAt = performance.now();
    const acts = {
      kill: () => this.killTheBusiest(),
      cut: () => this.cutTheBus(),
      restart: () => this.options.postgres.restart(),
      silence: () => this.silenceTheDatabase(),
      lock: () => this.lockConversations(),
    };
    const drawn = ['kill', 'cut', 'restart', 'cut', 'restart', 'silence', 'lock'] as const;
    for (const act of this.random.shuffled(drawn)) {
      await sleep(this.random.between(100, 700), undefined, { signal });
      const begunAt = performance.now();
      await acts[act]();
      this.history.push(`${Math.round(begunAt - startedAt)} ${act}, ${Math.round(performance.now() - begunAt)} ms`);
    }
    await Promise.all(this.replacements);
    this.history.push(`${Math.round(performance.now() - startedAt)} over`);
  }

  private async killTheBusiest(): Promise<void> {
    const { fleet, load, signal } = this.options;
    for (;;) {
      const [busiest] = fleet.servers.toSorted((a, b) => load(b) - load(a));
      if (!busiest || load(busiest) < 2) {
        await sleep(10, undefined, { signal });
        continue;
      }
      await fleet.kill(busiest);
      // Another one takes its place while the next thing happens already.
      this.replacements.push(fleet.start());
      return;
    }
  }

  /** Some connections of one server to its database stay open, and nothing passes any more. */
  private silenceTheDatabase(): void {
    this.random.pick(this.options.fleet.servers).database.silence(this.random.between(1, 4));
  }

  /** Somebody else locks conversations whose replies run. */
  private async lockConversations(): Promise<void> {
    const client = new pg.Client({ connectionString: this.options.postgres.url });
    client.on('error', () => undefined);
    await client.connect();
    await client.query('BEGIN');
    await client.query(
      'SELECT FROM conversation WHERE generating_message_id IS NOT NULL LIMIT 3 FOR UPDATE SKIP LOCKED',
    );
    await sleep(this.random.between(200, 800));
    await client.end();
  }

  private async cutTheBus(): Promise<void> {
    const { servers } = this.options.fleet;
    const some = this.random.shuffled(servers).slice(0, this.random.between(1, servers.length));
    for (const { bus } of some) bus.cut();
    await sleep(this.random.between(200, 800));
    for (const { bus } of some) bus.heal();
  }
}
