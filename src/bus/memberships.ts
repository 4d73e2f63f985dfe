import type { Membership } from './hints.ts';

/** What has been joined, each thing once however often it was asked for. */
export class Memberships<T> {
  private readonly held = new Map<T, { count: number; joined: Promise<void> }>();

  /** `begin` runs when nobody had joined it, `end` when the last has left. */
  add(what: T, { begin, end }: { begin: () => Promise<void>; end: () => void }): Membership {
    let entry = this.held.get(what);
    if (!entry) {
      entry = { count: 0, joined: begin() };
      this.held.set(what, entry);
    }
    const joined = entry;
    joined.count += 1;
    let left = false;
    return {
      joined: joined.joined,
      leave: () => {
        if (left) return;
        left = true;
        joined.count -= 1;
        if (joined.count > 0) return;
        this.held.delete(what);
        end();
      },
    };
  }

  has(what: T): boolean {
    return this.held.has(what);
  }

  all(): T[] {
    return [...this.held.keys()];
  }
}
