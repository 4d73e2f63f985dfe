import type { GraphQLError } from 'graphql';
import { limitKeyOf } from '../access/rate-limits.ts';
import type { Viewer } from '../access/viewer.ts';
import { rateLimited, serviceUnavailable } from './errors.ts';

const MiB = 1024 * 1024;

/** How many bytes of requests this server holds at a time, from their first byte until they are answered. */
export const arrivalLimits = {
  /** Of one person, or one conversation, with client tokens; or of one network address that visits come from. */
  person: 8 * MiB,
  /** Of one API key. */
  key: 64 * MiB,
  /** Of all credentials of an organization. */
  organization: 128 * MiB,
  server: 256 * MiB,
} as const;

type Limits = { [name in keyof typeof arrivalLimits]: number };

/** A request whose bytes are counted while they arrive. */
export interface Arrival {
  /** Counts bytes before they are kept. Returns why they must not be kept, and then has not counted them. */
  add(bytes: number): GraphQLError | null;
  /** Takes back bytes that were not kept. */
  remove(bytes: number): void;
  /** Runs what needs the request: its bytes count until that is done, even after `end`. */
  during<T>(work: () => Promise<T>): Promise<T>;
  /** The request is gone, and its bytes no longer count. Harmless to repeat. */
  readonly end: () => void;
}

/** The requests that have arrived in part or whole and are not answered yet, limited in bytes. */
export class Arrivals {
  private readonly limits: Limits;
  /** Bytes by the key of who sends them. Who holds none has no entry. */
  private readonly held = new Map<string, number>();

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...arrivalLimits, ...limits };
  }

  begin(viewer: Viewer): Arrival {
    const { limits } = this;
    const own = viewer.kind === 'CLIENT_TOKEN' || viewer.kind === 'STRANGER' ? limits.person : limits.key;
    const bounds = [
      { key: `viewer:${limitKeyOf(viewer)}`, limit: own, refusal: ownTooMuch },
      { key: `organization:${viewer.organizationId}`, limit: limits.organization, refusal: ownTooMuch },
      { key: 'server', limit: limits.server, refusal: tooMuch },
    ];
    let bytes = 0;
    let users = 1;
    const count = (by: number) => {
      bytes += by;
      for (const { key } of bounds) {
        const held = (this.held.get(key) ?? 0) + by;
        if (held > 0) this.held.set(key, held);
        else this.held.delete(key);
      }
    };
    const leave = () => {
      users -= 1;
      if (users === 0) count(-bytes);
    };
    let ended = false;
    return {
      add: (more) => {
        const full = bounds.find(({ key, limit }) => (this.held.get(key) ?? 0) + more > limit);
        if (full) return full.refusal(full.limit);
        // What still arrives after the end is thrown away.
        if (!ended) count(more);
        return null;
      },
      remove: (fewer) => count(-Math.min(fewer, bytes)),
      async during(work) {
        if (ended) return work();
        users += 1;
        try {
          return await work();
        } finally {
          leave();
        }
      },
      end() {
        if (!ended) leave();
        ended = true;
      },
    };
  }

  /** How many bytes are held. */
  get bytes(): number {
    return this.held.get('server') ?? 0;
  }
}

const ownTooMuch = (limit: number) =>
  rateLimited(`Your requests that are not answered yet may hold at most ${limit} bytes. Send fewer at a time.`, 1);

const tooMuch = () => serviceUnavailable('Too much is being sent to this server. Nothing was done. Try again.', 1);
