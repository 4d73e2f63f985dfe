import { LRUCache } from 'lru-cache';
import type { Queryable } from '../db.ts';
import type { Logger } from '../logger.ts';

/** How long an answer of the database is cached, in milliseconds. */
const BELIEVED_MS = 1000;
/** How many origins are cached, of those that may and of those that may not. The one cannot displace the other. */
const MOST = 1000;
/** The longest origin that is looked up, in characters. */
const LONGEST = 300;

/**
 * The origins whose pages may use the API from a browser because a web chat lists them, of whatever organization: the browser asks
 * before it says which web chat it means. What a page may do is decided by its credential, as for every request.
 */
export class WebChatOrigins {
  private readonly db: Queryable;
  private readonly logger: Logger;
  private readonly listed = new LRUCache<string, number>({ max: MOST });
  private readonly foreign = new LRUCache<string, number>({ max: MOST });
  /** Queries under way. */
  private readonly asking = new Map<string, Promise<boolean>>();

  constructor(db: Queryable, logger: Logger) {
    this.db = db;
    this.logger = logger;
  }

  /** Whether a web chat lists the origin, or one takes all. Never rejects: when the database is away, what was so stays so. */
  async has(origin: string): Promise<boolean> {
    if (origin.length > LONGEST) return false;
    const now = performance.now();
    if (now < (this.listed.get(origin) ?? 0)) return true;
    if (now < (this.foreign.get(origin) ?? 0)) return false;
    const asking = this.asking.get(origin) ?? this.ask(origin).finally(() => this.asking.delete(origin));
    this.asking.set(origin, asking);
    return asking;
  }

  private async ask(origin: string): Promise<boolean> {
    const until = performance.now() + BELIEVED_MS;
    try {
      const { rows } = await this.db.query<{ allowed: boolean }>({
        name: 'is-origin-of-web-chat',
        text: `SELECT EXISTS (SELECT FROM inbox WHERE public_key IS NOT NULL AND allowed_origins @> ARRAY[$1])
          OR EXISTS (SELECT FROM inbox WHERE public_key IS NOT NULL AND allowed_origins = '{}') AS allowed`,
        values: [origin],
      });
      const allowed = rows[0]?.allowed ?? false;
      const [here, there] = allowed ? [this.listed, this.foreign] : [this.foreign, this.listed];
      here.set(origin, until);
      there.delete(origin);
      return allowed;
    } catch (error) {
      this.logger.warn({ err: error }, 'could not look up the origin of a page');
      return this.listed.has(origin);
    }
  }
}
