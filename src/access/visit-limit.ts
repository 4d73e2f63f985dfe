import type { Allowance, RateWindows } from './rate-windows.ts';

/** Limits the visits of each inbox per minute, across all servers that share a store. */
export class VisitLimit {
  private readonly windows: RateWindows;
  private readonly perInbox: number;

  /** 0 means no limit. */
  constructor(windows: RateWindows, perInbox: number) {
    this.windows = windows;
    this.perInbox = perInbox;
  }

  /** Counts a visit that is about to begin. Null: there is no limit. Never rejects. */
  async take(inboxId: string): Promise<Allowance | null> {
    return this.perInbox === 0 ? null : this.windows.take(`visits:${inboxId}`, this.perInbox, 1);
  }
}
