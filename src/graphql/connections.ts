/** How many connections each viewer holds open on this server. */
export class OpenConnections {
  private readonly limit: number;
  private readonly counts = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Takes a place; the returned function gives it back, once. Null: the viewer has none left. */
  open(viewerId: string): (() => void) | null {
    const count = this.counts.get(viewerId) ?? 0;
    if (count >= this.limit) return null;
    this.counts.set(viewerId, count + 1);
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      const left = (this.counts.get(viewerId) ?? 1) - 1;
      if (left > 0) this.counts.set(viewerId, left);
      else this.counts.delete(viewerId);
    };
  }
}
