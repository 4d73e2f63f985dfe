import type pg from 'pg';
import type { Bus } from '../bus/hints.ts';
import type { Logger } from '../logger.ts';
import { outsideOperations } from '../work-clock.ts';
import { KEPT_DAYS, type PayloadMaker } from './model.ts';
import { Distributor } from './sending/distributor.ts';
import type { Endpoints } from './sending/endpoint.ts';
import { Pulse } from './sending/pulse.ts';
import { advanceReplays } from './sending/replays.ts';
import { Sender } from './sending/sender.ts';

/** How often the log and the lanes are looked at, in milliseconds, if no hint comes. */
const LOOK_MS = 1000;

/** How long after a hint they are looked at, in milliseconds, so that several hints are one look. */
const HINT_MS = 20;

/** How often old deliveries are removed, in milliseconds, and how many at a time. */
const [CLEAN_MS, CLEAN_ROWS] = [600_000, 5000];

/** What is being sent when this server ends has so long, in milliseconds. */
const GRACE_MS = 2000;

interface Options {
  pool: pg.Pool;
  bus: Bus;
  logger: Logger;
  payloads: PayloadMaker;
  endpoints: Endpoints;
  serverId: () => string;
}

/** Makes the log deliveries and sends them, together with the other servers. */
export class Webhooks {
  private readonly options: Options;
  private readonly distributor: Distributor;
  private readonly sender: Sender;
  private readonly distributing: Pulse;
  private readonly claiming: Pulse;
  private timers: NodeJS.Timeout[] = [];
  private unsubscribe: () => void = () => undefined;

  constructor(options: Options) {
    this.options = options;
    this.distributor = new Distributor(options);
    this.sender = new Sender({ ...options, onFree: () => this.wake() });
    this.distributing = new Pulse(HINT_MS, () => this.quietly(() => this.distribute()));
    this.claiming = new Pulse(0, () => this.quietly(() => this.sender.claim()));
  }

  get allowPrivateAddresses(): boolean {
    return this.options.endpoints.allowPrivateAddresses;
  }

  start(): void {
    this.unsubscribe = this.options.bus.subscribe({
      onHint: ({ kind }) => {
        if (kind === 'log') outsideOperations(() => this.distributing.ask());
      },
      onReconnect: () => this.distributing.ask(),
    });
    this.timers = [
      setInterval(() => {
        this.distributing.ask();
        this.claiming.ask();
      }, LOOK_MS),
      setInterval(() => void this.quietly(() => this.clean()), CLEAN_MS),
    ];
  }

  /** There is something to send. */
  wake(): void {
    outsideOperations(() => this.claiming.ask());
  }

  /** Ends what it has begun, and leaves the rest to other servers. */
  async close(): Promise<void> {
    this.unsubscribe();
    for (const timer of this.timers) clearInterval(timer);
    await Promise.all([this.distributing.close(), this.claiming.close()]);
    await this.sender.close(GRACE_MS);
    await this.quietly(() => this.distributor.leave());
  }

  private async distribute(): Promise<void> {
    const made = await this.distributor.advance();
    if (made) this.wake();
    if (this.distributor.isInTurn && (await advanceReplays(this.options.pool))) {
      this.wake();
      this.distributing.ask();
    }
  }

  private async clean(): Promise<void> {
    for (let removed = CLEAN_ROWS; removed === CLEAN_ROWS;) {
      const { rowCount } = await this.options.pool.query({
        text: `DELETE FROM webhook_delivery WHERE id IN (
          SELECT id FROM webhook_delivery WHERE id < $1 ORDER BY id LIMIT $2)`,
        values: [oldestKept(Date.now()), CLEAN_ROWS],
      });
      removed = rowCount ?? 0;
    }
  }

  private async quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.options.logger.warn({ err: error }, 'could not carry webhooks on; trying again');
    }
  }
}

/** The least id of what is kept: ids begin with the time in milliseconds. */
function oldestKept(now: number): string {
  const hex = (now - KEPT_DAYS * 24 * 3_600_000).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
