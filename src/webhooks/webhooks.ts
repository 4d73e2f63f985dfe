import type { Pool } from '../db.ts';
import type { Bus } from '../bus/hints.ts';
import type { Logger } from '../logger.ts';
import type { PayloadMaker } from './model.ts';
import { removeDeleted, removeErased, removeOld } from './sending/cleaning.ts';
import type { SharedTail } from '../conversations/log/shared-tail.ts';
import { advanceOnHints, passOn } from '../conversations/log/tail-hints.ts';
import { type Distributed, webhookTail } from './sending/distributor.ts';
import type { Endpoints } from './sending/endpoint.ts';
import { Pulse } from '../pulse.ts';
import { advanceReplays } from './sending/replays.ts';
import { Sender } from './sending/sender.ts';

/** How often the log and the lanes are looked at, in milliseconds, if no hint comes. */
const LOOK_MS = 1000;

/** How long after a hint they are looked at, in milliseconds, so that several hints are one look. */
const HINT_MS = 20;

/** How often deliveries that are no longer kept are removed, in milliseconds. */
const CLEAN_MS = 600_000;

/** What is being sent when this server ends has so long, in milliseconds. */
const GRACE_MS = 2000;

interface Options {
  pool: Pool;
  bus: Bus;
  logger: Logger;
  payloads: PayloadMaker;
  endpoints: Endpoints;
  serverId: () => string;
}

/** Makes the log deliveries and sends them, together with the other servers. */
export class Webhooks {
  private readonly options: Options;
  private readonly tail: SharedTail<Distributed>;
  private readonly sender: Sender;
  private readonly distributing: Pulse;
  /** Apart from the distribution, so that replays never delay what is new. */
  private readonly replaying: Pulse;
  private readonly claiming: Pulse;
  private readonly cleaning: Pulse;
  private timers: NodeJS.Timeout[] = [];
  private unsubscribe: () => void = () => undefined;

  constructor(options: Options) {
    this.options = options;
    this.tail = webhookTail(options);
    this.sender = new Sender({ ...options, onFree: () => this.wake() });
    this.distributing = new Pulse(HINT_MS, () => this.quietly(() => this.distribute()));
    this.replaying = new Pulse(HINT_MS, () => this.quietly(() => this.replay()));
    this.claiming = new Pulse(0, () => this.quietly(() => this.sender.claim()));
    this.cleaning = new Pulse(0, () => this.quietly(() => this.removeAll()));
  }

  get allowPrivateAddresses(): boolean {
    return this.options.endpoints.allowPrivateAddresses;
  }

  start(): void {
    this.unsubscribe = advanceOnHints(this.options.bus, this.tail, this.distributing);
    this.timers = [
      setInterval(() => {
        this.distributing.ask();
        this.claiming.ask();
        if (this.tail.isInTurn) this.replaying.ask();
      }, LOOK_MS),
      setInterval(() => this.cleaning.ask(), CLEAN_MS),
    ];
  }

  /** There is something to send. */
  wake(): void {
    this.claiming.ask();
  }

  /** There is something to remove. */
  clean(): void {
    this.cleaning.ask();
  }

  /** Ends what it has begun, and leaves the rest to other servers. */
  async close(): Promise<void> {
    this.unsubscribe();
    for (const timer of this.timers) clearInterval(timer);
    const pulses = [this.distributing, this.replaying, this.claiming, this.cleaning];
    await Promise.all(pulses.map((pulse) => pulse.close()));
    await this.sender.close(GRACE_MS);
    await this.quietly(() => this.tail.leave());
  }

  private async distribute(): Promise<void> {
    const done = await this.tail.advance();
    if (done.some(({ made }) => made > 0)) this.wake();
    if (done.some(({ erasures }) => erasures > 0)) this.cleaning.ask();
    passOn(this.options.bus, this.tail);
  }

  private async replay(): Promise<void> {
    const { moved, made } = await advanceReplays(this.options.pool, this.options.logger);
    if (made) this.wake();
    if (moved && this.tail.isInTurn) this.replaying.ask();
  }

  private async removeAll(): Promise<void> {
    await removeDeleted(this.options.pool);
    await removeErased(this.options.pool);
    await removeOld(this.options.pool);
  }

  private async quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.options.logger.warn({ err: error }, 'could not carry webhooks on; trying again');
    }
  }
}
