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

interface Bound {
  /** Who sends. */
  key: string;
  limit: number;
  refusal: (limit: number) => GraphQLError;
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
    return new Arrival(this, viewer);
  }

  /** How many bytes are held. */
  get bytes(): number {
    return this.held.get('server') ?? 0;
  }

  /** Why a viewer may not send so many bytes more. Null if it may. */
  refusalOf(viewer: Viewer, more: number): GraphQLError | null {
    const full = this.boundsOf(viewer).find(({ key, limit }) => (this.held.get(key) ?? 0) + more > limit);
    return full ? full.refusal(full.limit) : null;
  }

  count(viewer: Viewer, bytes: number): void {
    for (const { key } of this.boundsOf(viewer)) {
      const held = (this.held.get(key) ?? 0) + bytes;
      if (held > 0) this.held.set(key, held);
      else this.held.delete(key);
    }
  }

  private boundsOf(viewer: Viewer): Bound[] {
    const { limits } = this;
    const own = viewer.kind === 'CLIENT_TOKEN' || viewer.kind === 'STRANGER' ? limits.person : limits.key;
    return [
      { key: `viewer:${limitKeyOf(viewer)}`, limit: own, refusal: ownTooMuch },
      { key: `organization:${viewer.organizationId}`, limit: limits.organization, refusal: ownTooMuch },
      { key: 'server', limit: limits.server, refusal: tooMuch },
    ];
  }
}

/** A request whose bytes are counted while they arrive. */
export class Arrival {
  private readonly arrivals: Arrivals;
  private readonly viewer: Viewer;
  private bytes = 0;
  private users = 1;
  private ended = false;

  constructor(arrivals: Arrivals, viewer: Viewer) {
    this.arrivals = arrivals;
    this.viewer = viewer;
  }

  /** Counts bytes before they are kept. Returns why they must not be kept, and then has not counted them. */
  add(bytes: number): GraphQLError | null {
    const refusal = this.arrivals.refusalOf(this.viewer, bytes);
    // What still arrives after the end is thrown away.
    if (!refusal && !this.ended) this.count(bytes);
    return refusal;
  }

  /** Takes back bytes that were not kept. */
  remove(bytes: number): void {
    this.count(-Math.min(bytes, this.bytes));
  }

  /** Runs what needs the request: its bytes count until that is done, even after `end`. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.ended) return work();
    this.users += 1;
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /** The request is gone, and its bytes no longer count. Harmless to repeat. */
  end(): void {
    if (!this.ended) this.leave();
    this.ended = true;
  }

  private count(bytes: number): void {
    this.bytes += bytes;
    this.arrivals.count(this.viewer, bytes);
  }

  private leave(): void {
    this.users -= 1;
    if (this.users === 0) this.count(-this.bytes);
  }
}

const ownTooMuch = (limit: number) =>
  rateLimited(`Your requests that are not answered yet may hold at most ${limit} bytes. Send fewer at a time.`, 1);

const tooMuch = () => serviceUnavailable('Too much is being sent to this server. Nothing was done. Try again.', 1);
