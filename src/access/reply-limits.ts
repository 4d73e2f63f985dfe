import type { Queryable } from '../db.ts';
import type { Logger } from '../logger.ts';
import { limitKeyOf } from './rate-limits.ts';
import type { RateWindows } from './rate-windows.ts';
import type { Viewer } from './viewer.ts';

/** Limits on the replies that one person may start with client tokens. 0 means no limit. */
export interface ReplyLimitSettings {
  /** Replies running at the same time, in all conversations of the person. */
  running: number;
  /** Replies started per minute. */
  perMinute: number;
  /** Model tokens per minute, read and written. A reply's tokens are counted when it ends. */
  tokensPerMinute: number;
}

/** Why no reply may begin now. */
export interface ReplyRefusal {
  message: string;
  /** In seconds. */
  retryAfter: number;
}

/** Limits what the replies to one person cost. API keys are not limited: they belong to operators. */
export class ReplyLimits {
  private readonly db: Queryable;
  private readonly windows: RateWindows;
  private readonly logger: Logger;
  private readonly limits: ReplyLimitSettings;

  constructor(options: { db: Queryable; windows: RateWindows; logger: Logger; limits: ReplyLimitSettings }) {
    this.db = options.db;
    this.windows = options.windows;
    this.logger = options.logger;
    this.limits = options.limits;
  }

  /**
   * Counts a reply that is about to begin in this conversation. The conversation's own running reply does not count against it.
   * Null: it may begin. Simultaneous sends to several conversations may exceed the limit of running replies, but not that of
   * replies per minute.
   */
  async take(viewer: Viewer, conversationId: string): Promise<ReplyRefusal | null> {
    if (viewer.kind !== 'CLIENT_TOKEN') return null;
    const { running, perMinute, tokensPerMinute } = this.limits;
    if (
      running > 0 &&
      viewer.contactId !== null &&
      (await this.countRunning(viewer.contactId, conversationId)) >= running
    ) {
      return {
        message: `At most ${running} of your replies may run at a time. Wait until one has ended.`,
        retryAfter: 1,
      };
    }
    const key = limitKeyOf(viewer);
    if (tokensPerMinute > 0) {
      const { left, resetSeconds } = await this.windows.look(tokensKey(key), tokensPerMinute);
      if (!left) return refusal('The replies to you have used all that a minute allows.', resetSeconds);
    }
    if (perMinute === 0) return null;
    const { allowed, resetSeconds } = await this.windows.take(`replies:${key}`, perMinute, 1);
    return allowed ? null : refusal(`At most ${perMinute} replies a minute are allowed.`, resetSeconds);
  }

  /** Counts the tokens of an ended reply against the person of its conversation. Never rejects. */
  async charge(conversationId: string, tokens: number): Promise<void> {
    if (this.limits.tokensPerMinute === 0 || tokens === 0) return;
    try {
      const { rows } = await this.db.query<{ contactId: string | null }>({
        name: 'contact-of-conversation',
        text: 'SELECT contact_id AS "contactId" FROM conversation WHERE id = $1',
        values: [conversationId],
      });
      const [row] = rows;
      if (!row) return;
      const key = row.contactId === null ? `conversation:${conversationId}` : `contact:${row.contactId}`;
      await this.windows.spend(tokensKey(key), this.limits.tokensPerMinute, tokens);
    } catch (error) {
      this.logger.warn({ err: error, conversationId }, 'could not count the tokens of a reply');
    }
  }

  private async countRunning(contactId: string, exceptIn: string): Promise<number> {
    const { rows } = await this.db.query<{ count: number }>({
      name: 'count-running-replies',
      text: `SELECT count(*)::int AS count FROM conversation
        WHERE contact_id = $1 AND generating_message_id IS NOT NULL AND id <> $2`,
      values: [contactId, exceptIn],
    });
    return rows[0]?.count ?? 0;
  }
}

function tokensKey(key: string): string {
  return `tokens:${key}`;
}

function refusal(message: string, retryAfter: number): ReplyRefusal {
  return { message: `${message} Try again in ${retryAfter} s.`, retryAfter };
}
