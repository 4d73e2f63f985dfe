interface Entry<T> {
  item: T;
  before: Entry<T> | null;
  after: Entry<T> | null;
}

/**
 * What is here now, in the order in which it came. For what comes and goes often: with a `Set`, V8's young collections free nothing that
 * was ever in it, since the tables that it has outgrown lead from one to the next.
 */
export class Roster<T> implements Iterable<T> {
  private first: Entry<T> | null = null;
  private last: Entry<T> | null = null;
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Returns how it leaves, which tells whether it was still here. */
  add(item: T): () => boolean {
    let entry: Entry<T> | null = { item, before: this.last, after: null };
    if (this.last) this.last.after = entry;
    else this.first = entry;
    this.last = entry;
    this.count += 1;
    return () => {
      if (!entry) return false;
      this.remove(entry);
      entry = null;
      return true;
    };
  }

  /** What comes or leaves meanwhile changes nothing. */
  [Symbol.iterator](): Iterator<T> {
    const items: T[] = [];
    for (let entry = this.first; entry; entry = entry.after) items.push(entry.item);
    return items.values();
  }

  private remove(entry: Entry<T>): void {
    const { before, after } = entry;
    if (before) before.after = after;
    else this.first = after;
    if (after) after.before = before;
    else this.last = before;
    // An entry that old memory still leads to must lead no further.
    entry.before = null;
    entry.after = null;
    this.count -= 1;
  }
}
