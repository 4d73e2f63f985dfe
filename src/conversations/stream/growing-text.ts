/**
 * Text that grows at its end while others read it. Appending to a string and slicing it would copy the whole
 * text for each piece. Here a piece costs only its own length.
 */
export class GrowingText {
  /** In UTF-16 code units. */
  length = 0;
  private pieces: string[] = [];
  private starts: number[] = [];

  constructor(text = '') {
    this.append(text);
  }

  append(text: string): void {
    if (text === '') return;
    this.starts.push(this.length);
    this.pieces.push(text);
    this.length += text.length;
  }

  /** The text between two places. */
  slice(from: number, to = this.length): string {
    const first = this.pieceAt(from);
    const start = this.starts[first];
    if (start === undefined || from >= to) return '';
    const last = this.pieceAt(to - 1);
    if (first === last) return (this.pieces[first] ?? '').slice(from - start, to - start);
    return this.pieces
      .slice(first, last + 1)
      .join('')
      .slice(from - start, to - start);
  }

  toString(): string {
    if (this.pieces.length > 1) {
      this.pieces = [this.pieces.join('')];
      this.starts = [0];
    }
    return this.pieces[0] ?? '';
  }

  /** The index of the piece that holds this place, or of the last piece for a place beyond the end. */
  private pieceAt(place: number): number {
    let [low, high] = [0, this.starts.length - 1];
    // Readers are nearly always at the end.
    if ((this.starts[high] ?? 0) <= place) return high;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.starts[middle] ?? 0) <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
