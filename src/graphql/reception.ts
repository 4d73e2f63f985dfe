import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../access/authenticate.ts';
import type { RateLimits } from '../access/rate-limits.ts';
import type { Allowance } from '../access/rate-windows.ts';
import type { Viewer } from '../access/viewer.ts';
import type { Arrival, Arrivals } from './arrivals.ts';
import { tooManyOperations } from './errors.ts';
import { readBody } from './request-body.ts';

export interface ReceptionOptions {
  rateLimits: RateLimits;
  arrivals: Arrivals;
  authenticate: (req: IncomingMessage) => Promise<Identity>;
}

/**
 * What comes before a request over HTTP is read as GraphQL. Each step is taken once, whoever asks for it: one that has failed is not
 * tried again but fails with the same error.
 */
export class Reception {
  private readonly req: IncomingMessage;
  private readonly res: ServerResponse;
  private readonly options: ReceptionOptions;
  private identified: Promise<Identity> | undefined;
  private begun: Arrival | undefined;
  private counted: Promise<void> | undefined;
  private bytes: Promise<Buffer<ArrayBuffer>> | undefined;

  constructor(req: IncomingMessage, res: ServerResponse, options: ReceptionOptions) {
    this.req = req;
    this.res = res;
    this.options = options;
  }

  /** Who is asking. */
  identity(): Promise<Identity> {
    return (this.identified ??= this.options.authenticate(this.req));
  }

  /** The bytes of the request, until it is answered. */
  arrival(viewer: Viewer): Arrival {
    if (this.begun) return this.begun;
    const arrival = this.options.arrivals.begin(viewer);
    if (this.req.socket.destroyed) arrival.end();
    else this.res.once('close', () => arrival.end());
    return (this.begun = arrival);
  }

  /** Counts the request against the viewer's limit. Rejects if that is used up. */
  count(viewer: Viewer): Promise<void> {
    return (this.counted ??= this.take(viewer));
  }

  /** The body, read to the end. Rejects if it is larger than its viewer may send, or if too much is in the air. */
  body(viewer: Viewer): Promise<Buffer<ArrayBuffer>> {
    return (this.bytes ??= readBody(this.req, viewer, this.arrival(viewer)));
  }

  private async take(viewer: Viewer): Promise<void> {
    const allowance = await this.options.rateLimits.take(viewer, 1);
    if (!allowance) return;
    tell(this.res, allowance);
    if (!allowance.allowed) throw tooManyOperations(allowance);
  }
}

/** Tells in headers what a viewer may still do. */
export function tell(res: ServerResponse, { limit, remaining, resetSeconds }: Allowance): void {
  res.setHeader('RateLimit-Limit', limit);
  res.setHeader('RateLimit-Remaining', remaining);
  res.setHeader('RateLimit-Reset', resetSeconds);
}
