import type { Pool } from '../db.ts';
import type { Bus } from '../bus/hints.ts';
import type { SharedTail } from '../conversations/log/shared-tail.ts';
import { advanceOnHints, passOn } from '../conversations/log/tail-hints.ts';
import type { Presences } from '../conversations/presence/presences.ts';
import type { ConversationServices } from '../conversations/services.ts';
import type { NewId } from '../ids.ts';
import { type Handler, handle } from '../jobs/task.ts';
import type { Logger } from '../logger.ts';
import { Pulse } from '../pulse.ts';
import type { Storage } from '../storage/storage.ts';
import { cleanLetters } from './cleaning.ts';
import { LetterReader } from './letter/letter-reader.ts';
import { receiveTask, type ResolveDns, sendTask } from './model.ts';
import { Receiver } from './receiving/receive.ts';
import { letterTail } from './sending/distribute.ts';
import { LetterSender } from './sending/send.ts';
import { openSmtp, type Smtp } from './sending/smtp.ts';

/** How often the log is looked at, in milliseconds, if no hint comes, and how long after a hint. */
const [LOOK_MS, HINT_MS] = [1000, 20];

/** How often letters are looked after, in milliseconds. */
const CLEAN_MS = 600_000;

/** How long the contact of a conversation may take to be heard of, in milliseconds, from all servers. */
const THERE_MS = 1500;

interface Options {
  pool: Pool;
  /** For what jobs do. */
  jobPool: Pool;
  bus: Bus;
  logger: Logger;
  newId: NewId;
  serverId: () => string;
  storage: Storage;
  smtpUrl: string | undefined;
  resolveDns: ResolveDns;
  /** Exist only once all is built. */
  services: () => ConversationServices & { presences: Presences };
}

/** The email channel: letters that come in become messages, and messages of the agent's side go out as letters. */
export class Email {
  /** For the job queue. */
  readonly handlers: readonly Handler[];
  private readonly options: Options;
  private readonly smtp: Smtp | null;
  private readonly reader: LetterReader;
  private readonly tail: SharedTail<{ made: number }>;
  private readonly distributing: Pulse;
  private readonly cleaning: Pulse;
  private timers: NodeJS.Timeout[] = [];
  private unsubscribe: () => void = () => undefined;

  constructor(options: Options) {
    const { smtpUrl, jobPool: pool, services, resolveDns } = options;
    this.options = options;
    this.smtp = smtpUrl === undefined ? null : openSmtp(smtpUrl);
    this.reader = new LetterReader(options.logger);
    this.tail = letterTail(options);
    this.distributing = new Pulse(HINT_MS, () =>
      this.quietly(async () => {
        await this.tail.advance();
        passOn(this.options.bus, this.tail);
      }),
    );
    this.cleaning = new Pulse(0, () => this.quietly(() => cleanLetters(pool)));
    const receiver = new Receiver({ pool, services, resolveDns, reader: this.reader });
    const isContactThere = (id: string, signal: AbortSignal) => this.isContactThere(id, signal);
    const sender = new LetterSender({ pool, storage: options.storage, smtp: this.smtp, isContactThere });
    this.handlers = [
      handle(receiveTask, (job, context) => receiver.receive(job, context)),
      handle(sendTask, (job, context) => sender.send(job, context)),
    ];
  }

  start(): void {
    this.unsubscribe = advanceOnHints(this.options.bus, this.tail, this.distributing);
    this.timers = [
      setInterval(() => this.distributing.ask(), LOOK_MS),
      setInterval(() => this.cleaning.ask(), CLEAN_MS),
    ];
  }

  /** Leaves the rest to other servers. The jobs have ended before. */
  async close(): Promise<void> {
    this.unsubscribe();
    for (const timer of this.timers) clearInterval(timer);
    await Promise.all([this.distributing.close(), this.cleaning.close()]);
    this.smtp?.close();
    await this.reader.close();
    await this.quietly(() => this.tail.leave());
  }

  private async isContactThere(conversationId: string, signal: AbortSignal): Promise<boolean> {
    const until = AbortSignal.any([signal, AbortSignal.timeout(THERE_MS)]);
    for await (const { participants } of this.options.services().presences.watch(conversationId, 'OPERATORS', until)) {
      if (participants.some(({ author, online }) => author.kind === 'END_USER' && online)) return true;
    }
    return false;
  }

  private async quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.options.logger.warn({ err: error }, 'could not carry letters on; trying again');
    }
  }
}
