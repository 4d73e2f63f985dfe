import type pg from 'pg';
import type { Caller } from '../access/caller.ts';
import type { PrismaClient } from '../db.ts';
import type { InputIssue } from '../errors.ts';
import type { Bus } from '../bus/hints.ts';
import type { NewId } from '../ids.ts';
import type { KeyedGate } from '../keyed-gate.ts';
import type { Logger } from '../logger.ts';
import type { JsonObject } from '../json.ts';
import type { ReplyRunner } from './reply-runner.ts';
import type { LogEpoch } from './log/epoch.ts';
import type { FeedRegistry } from './stream/feed-registry.ts';
import type { LogTail } from './lists/log-tail.ts';
import type { ConversationSearch } from './lists/search.ts';

/** What the commands on conversations are built from. */
export interface ConversationServices {
  pool: pg.Pool;
  prisma: PrismaClient;
  bus: Bus;
  feedRegistry: FeedRegistry;
  logTail: LogTail;
  logEpoch: LogEpoch;
  search: ConversationSearch;
  runner: ReplyRunner;
  /** Passed by every command, by conversation. */
  gate: KeyedGate;
  newId: NewId;
  logger: Logger;
  /** The longest message that a client token may send. */
  maxEndUserMessageBytes: number;
  /** This server, as the owner of the replies that it generates. Throws `UnavailableError` while others may think it dead. */
  serverId(): string;
  /** What is wrong with parameters for a runtime; paths start below the parameters. May take seconds: hold no lock. */
  checkParameters(runtime: string, parameters: JsonObject): Promise<InputIssue[]>;
  /**
   * Tells a command that takes long when its caller is not to be served any more, at most once, with what to answer. The
   * returned function ends the watching.
   */
  watchCaller(caller: Caller, end: (error: Error) => void): () => void;
}
