import type pg from 'pg';
import type { PrismaClient } from '../db.ts';
import type { InputIssue } from '../errors.ts';
import type { Bus } from '../events/bus.ts';
import type { NewId } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import type { Feeds } from './feeds.ts';
import type { LogTail } from './log-tail.ts';
import type { Author } from './model.ts';

/** Generates replies; known here only by what commands need of it. */
export interface ReplyRunner {
  /** Drives a reply that has been committed. Returns at once. */
  start(reply: { conversationId: string; replyId: string }): void;
  /**
   * If the reply runs on this server: holds it still with all its text stored, so that settling cuts nothing that was
   * seen. The returned function lets it go on, should it not be settled after all.
   */
  suspend(replyId: string): Promise<() => void>;
}

/** What the commands on conversations are built from. */
export interface ConversationServices {
  pool: pg.Pool;
  prisma: PrismaClient;
  bus: Bus;
  feeds: Feeds;
  logTail: LogTail;
  runner: ReplyRunner;
  newId: NewId;
  /** This server, as the owner of the replies that it generates. Throws `UnavailableError` while others may think it dead. */
  serverId(): string;
  /** What is wrong with parameters for a runtime; paths start below the parameters. May take seconds: hold no lock. */
  checkParameters(runtime: string, parameters: JsonObject): Promise<InputIssue[]>;
}

/** All conversations of one person, or one conversation. */
export type Confinement = { contactId: string } | { conversationId: string };

/** Who gives a command, and for which organization. */
export interface Caller {
  organizationId: string;
  /** What an end user is confined to; null for operators. */
  confinedTo: Confinement | null;
  /** Owns the idempotency keys. */
  id: string;
  /** As the log names it. */
  actor: Author;
}
