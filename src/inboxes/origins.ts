import { LRUCache } from 'lru-cache';
import type { Queryable } from '../db.ts';
import type { Logger } from '../logger.ts';

/** How long an answer of the database is cached, in milliseconds. */
const BELIEVED_MS = 1000;
/** How many origins are cached, of those that may and of those that may not. The one cannot displace the other. */
const MOST = 1000;
/** How many origins are looked up in one statement, and how many may wait for theirs. */
const AT_ONCE = 500;
const MOST_WAITING = 1000;
/** The longest origin that is looked up, in characters. */
const LONGEST = 300;

/**
 * The origins whose pages may use the API from a browser because a web chat lists them, of whatever organization: the browser asks
 * before it says which web chat it means. Whatever origins are made up, one statement at a time looks them up. What a page may do is decided by its credential, as for every request.
 */
export class WebChatOrigins {
  private readonly db: Queryable;
  private readonly logger: Logger;
  private readonly listed = new LRUCache<string, number>({ max: MOST });
  private readonly foreign = new LRUCache<string, number>({ max: MOST });
  /** Who waits for an answer, by origin. */
  private readonly waiting = new Map<string, { answer: Promise<boolean>; decide: (allowed: boolean) => void }>();
  private asking = false;

  constructor(db: Queryable, logger: Logger) {
    this.db = db;
    this.logger = logger;
  }

  /** Whether a web chat lists the origin, or one takes all. Never rejects: when the database is away or too many wait, what was so stays so. */
  async has(origin: string): Promise<boolean> {
    if (origin.length > LONGEST) return false;
    const now = performance.now();
    if (now < (this.listed.get(origin) ?? 0)) return true;
    if (now < (this.foreign.get(origin) ?? 0)) return false;
    const known = this.waiting.get(origin);
    if (known) return known.answer;
    if (this.waiting.size >= MOST_WAITING) return this.listed.has(origin);
    let decide: (allowed: boolean) => void = () => undefined;
    const answer = new Promise<boolean>((resolve) => {
      decide = resolve;
    });
    this.waiting.set(origin, { answer, decide });
    if (!this.asking) void this.askAll();
    return answer;
  }

  private async askAll(): Promise<void> {
    this.asking = true;
    while (this.waiting.size > 0) {
      const asked = [...this.waiting].slice(0, AT_ONCE);
      const allowed = await this.ask(asked.map(([origin]) => origin));
      for (const [origin, { decide }] of asked) {
        this.waiting.delete(origin);
        decide(allowed.has(origin));
      }
    }
    this.asking = false;
  }

  /** Those of these origins that may. */
  private async ask(origins: readonly string[]): Promise<Set<string>> {
    const until = performance.now() + BELIEVED_MS;
    try {
      const { rows } = await this.db.query<{ origin: string }>({
        name: 'origins-of-web-chats',
        text: `SELECT origin FROM unnest($1::text[]) AS asked(origin)
          WHERE EXISTS (SELECT FROM inbox WHERE public_key IS NOT NULL AND allowed_origins @> ARRAY[origin])
            OR EXISTS (SELECT FROM inbox WHERE public_key IS NOT NULL AND allowed_origins = '{}')`,
        values: [origins],
      });
      const allowed = new Set(rows.map(({ origin }) => origin));
      for (const origin of origins) {
        const [here, there] = allowed.has(origin) ? [this.listed, this.foreign] : [this.foreign, this.listed];
        here.set(origin, until);
        there.delete(origin);
      }
      return allowed;
    } catch (error) {
      this.logger.warn({ err: error }, 'could not look up the origins of pages');
      return new Set(origins.filter((origin) => this.listed.has(origin)));
    }
  }
}
