/** What waits in lines, and in lines of lines. Lines take turns: none delays another by more than one item of its own. */
export class FairQueue<T> {
  private readonly items: T[] = [];
  /** The line whose turn is next comes first, unless it had the last turn. */
  private readonly lines = new Map<string, FairQueue<T>>();
  private last = '';
  private count = 0;

  /** How many items wait here and in all lines below. */
  get size(): number {
    return this.count;
  }

  /** How many items wait in a line. */
  sizeOf([name, ...below]: readonly string[]): number {
    return name === undefined ? this.count : (this.lines.get(name)?.sizeOf(below) ?? 0);
  }

  /** Adds an item at the end of a line, which names lead to from the outermost down. */
  add([name, ...below]: readonly string[], item: T): void {
    this.count += 1;
    if (name === undefined) {
      this.items.push(item);
      return;
    }
    const line = this.lines.get(name) ?? new FairQueue();
    this.lines.set(name, line);
    line.add(below, item);
  }

  /** Takes the item whose turn it is. */
  take(): T | undefined {
    // Only now does the line of the last turn go to the end: lines that began to wait during that turn come before it. Until then
    // it is kept even if it is empty, since it knows whose turn is next in it.
    const again = this.lines.get(this.last);
    if (again) {
      this.lines.delete(this.last);
      if (again.size > 0) this.lines.set(this.last, again);
    }
    const [turn] = this.lines;
    const item = turn ? turn[1].take() : this.items.shift();
    if (item !== undefined) this.count -= 1;
    if (turn) this.last = turn[0];
    return item;
  }

  /** Takes an item out of its line. False if it does not wait there. */
  remove([name, ...below]: readonly string[], item: T): boolean {
    if (name === undefined) {
      const index = this.items.indexOf(item);
      if (index < 0) return false;
      this.items.splice(index, 1);
    } else {
      const line = this.lines.get(name);
      if (!line?.remove(below, item)) return false;
      if (line.size === 0) this.lines.delete(name);
    }
    this.count -= 1;
    return true;
  }
}
