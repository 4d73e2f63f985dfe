import type { AttachmentServices } from '../attachments/model.ts';
import type { Caller } from '../access/caller.ts';
import type { Pool, PrismaClient } from '../db.ts';
import type { InputIssue } from '../errors.ts';
import type { Bus } from '../bus/hints.ts';
import type { NewId } from '../ids.ts';
import type { KeyedGate } from '../keyed-gate.ts';
import type { Logger } from '../logger.ts';
import type { JsonObject } from '../json.ts';
import type { ReplyRunner } from './reply-runner.ts';
import type { LogEpoch } from './log/epoch.ts';
import type { Presences } from './presence/presences.ts';
import type { FeedRegistry } from './stream/feed-registry.ts';
import type { LogTail } from './lists/log-tail.ts';
import type { SearchTurns } from '../search-turns.ts';
import type { ConversationSearch } from './lists/search.ts';

/** The services that the commands on conversations use. */
export interface ConversationServices extends AttachmentServices {
  pool: Pool;
  prisma: PrismaClient;
  bus: Bus;
  feedRegistry: FeedRegistry;
  logTail: LogTail;
  presences: Presences;
  logEpoch: LogEpoch;
  search: ConversationSearch;
  searchTurns: SearchTurns;
  /** See `turnsOfMissedChanges`. */
  missedTurns: SearchTurns;
  runner: ReplyRunner;
  /** Limits how many commands of one conversation run or wait. */
  gate: KeyedGate;
  newId: NewId;
  logger: Logger;
  /** The largest message that a client token may send, in bytes. */
  maxEndUserMessageBytes: number;
  /** This server's id as the owner of its replies. Throws `UnavailableError` while other servers may consider it dead. */
  serverId(): string;
  /**
   * What is wrong with an organization's parameters for a runtime. Paths start below the parameters. May take seconds, so call it
   * without a lock.
   */
  checkParameters(organizationId: string, runtime: string, parameters: JsonObject): Promise<InputIssue[]>;
  /**
   * Calls `end`, at most once, when the caller's credential is no longer valid, with the error to answer. The
   * returned function stops watching.
   */
  watchCaller(caller: Caller, end: (error: Error) => void): () => void;
}
