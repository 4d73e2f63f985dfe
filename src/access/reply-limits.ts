import { LRUCache } from 'lru-cache';
import type { Queryable } from '../db.ts';
import type { Logger } from '../logger.ts';
import { countedUnder, VISITORS_OF_NETWORK, visitorsOf } from './rate-limits.ts';
import type { RateWindows } from './rate-windows.ts';
import type { Viewer } from './viewer.ts';

/** Limits on the replies that one person may start with client tokens. 0 means no limit. */
export interface ReplyLimitSettings {
  /** Replies running at the same time, in all conversations of the person; ten times as many for the anonymous visitors of a network. */
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

/** How many anonymous visitors are remembered with their network, for the tokens of the replies to them. */
const MOST_VISITORS = 100_000;

/** Limits what the replies to one person, and to the anonymous visitors of one network together, cost. API keys are not limited: they belong to operators. */
export class ReplyLimits {
  private readonly db: Queryable;
  private readonly windows: RateWindows;
  private readonly logger: Logger;
  private readonly limits: ReplyLimitSettings;
  /** The networks of anonymous visitors who started replies here, by the row id of the contact. A reply runs where it was started. */
  private readonly networks = new LRUCache<string, string>({ max: MOST_VISITORS });

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
    if (running > 0 && viewer.contactId !== null) {
      const { own, together } = await this.countRunning(viewer.contactId, viewer.network, conversationId);
      if (own >= running) {
        const message = `At most ${running} of your replies may run at a time. Wait until one has ended.`;
        return { message, retryAfter: 1 };
      }
      if (together >= running * VISITORS_OF_NETWORK) {
        return {
          message: 'Too many replies to visitors from your network run. Wait until one has ended.',
          retryAfter: 1,
        };
      }
    }
    const counted = countedUnder(viewer);
    if (tokensPerMinute > 0) {
      for (const { key, times } of counted) {
        const { left, resetSeconds } = await this.windows.look(tokensKey(key), tokensPerMinute * times);
        if (!left) return refusal('The replies to you have used all that a minute allows.', resetSeconds);
      }
    }
    if (perMinute > 0) {
      for (const { key, times } of counted) {
        const { allowed, limit, resetSeconds } = await this.windows.take(`replies:${key}`, perMinute * times, 1);
        if (!allowed) return refusal(`At most ${limit} replies a minute are allowed.`, resetSeconds);
      }
    }
    const { contactId, network } = viewer;
    if (contactId !== null && network !== undefined) this.networks.set(contactId, network);
    return null;
  }

  /** Counts the tokens of an ended reply against the person of its conversation, and their network. Never rejects. */
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
      const network = row.contactId === null ? undefined : this.networks.get(row.contactId);
      for (const counted of [{ key, times: 1 }, ...(network === undefined ? [] : [visitorsOf(network)])]) {
        await this.windows.spend(tokensKey(counted.key), this.limits.tokensPerMinute * counted.times, tokens);
      }
    } catch (error) {
      this.logger.warn({ err: error, conversationId }, 'could not count the tokens of a reply');
    }
  }

  /** Replies that run to this person, and to all anonymous visitors of the network. Those without a network are counted alone. */
  private async countRunning(
    contactId: string,
    network: string | undefined,
    exceptIn: string,
  ): Promise<{ own: number; together: number }> {
    const { rows } = await this.db.query<{ own: number; together: number }>({
      name: 'count-running-replies',
      // Of a network it looks through all that run, of which there are few, not through its visitors, who may be many.
      text: `SELECT (SELECT count(*)::int FROM conversation
          WHERE contact_id = $1 AND generating_message_id IS NOT NULL AND id <> $2) AS own,
        (SELECT count(*)::int FROM conversation c JOIN contact p ON p.id = c.contact_id
          WHERE c.generating_server_id IS NOT NULL AND p.network = $3 AND c.id <> $2) AS together`,
      values: [contactId, exceptIn, network],
    });
    return rows[0] ?? { own: 0, together: 0 };
  }
}

function tokensKey(key: string): string {
  return `tokens:${key}`;
}

function refusal(message: string, retryAfter: number): ReplyRefusal {
  return { message: `${message} Try again in ${retryAfter} s.`, retryAfter };
}
