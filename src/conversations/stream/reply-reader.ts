import type { StreamPosition } from './cursor.ts';
import type { LiveFragment } from './feed.ts';
import type { GrowingText } from './growing-text.ts';
import type { StreamEvent } from './stream-event.ts';

/** A delta is no longer than this, in UTF-16 code units: a reader that was slow is given much text in pieces. */
const DELTA_UNITS = 64 * 1024;

type Part = StreamEvent extends infer E
  ? E extends { kind: `fragment-${string}` }
    ? Omit<E, 'conversationId' | 'cursor'>
    : never
  : never;

/** Reads one reply's text from a place on. Text only grows until the reply settles, when it may turn out shorter. */
export class TextReader {
  readonly messageId: string;
  private readonly version: number;
  private fragment: number;
  private read: number;

  constructor(messageId: string, version: number, fragment = 0, place = 0) {
    this.messageId = messageId;
    this.version = version;
    this.fragment = fragment;
    this.read = place;
  }

  place(): NonNullable<StreamPosition['running']> {
    return { version: this.version, fragment: this.fragment, place: this.read };
  }

  /** The next thing to say of these fragments; null when all is said. */
  next(fragments: readonly LiveFragment[], settled: boolean): Part | null {
    const fragment = fragments[this.fragment];
    if (!fragment) return null;
    const occurredAt = new Date();
    if (this.read === 0) {
      this.read = 1;
      const begun = {
        ...fragment,
        status: 'IN_PROGRESS' as const,
        text: '',
        args: null,
        response: null,
        failed: false,
      };
      return { kind: 'fragment-started', occurredAt, fragment: begun };
    }
    const have = this.read - 1;
    const { length } = fragment.text;
    if (length > have || (length < have && settled)) {
      const offset = Math.min(have, length);
      const text = piece(fragment.text, offset);
      this.read = 1 + offset + text.length;
      return { kind: 'fragment-delta', occurredAt, offset, text, fragment };
    }
    if (fragment.status !== 'DONE') return null;
    this.fragment += 1;
    this.read = 0;
    return { kind: 'fragment-completed', occurredAt, fragment: { ...fragment, text: fragment.text.toString() } };
  }
}

/** The text from a place on, as far as one delta goes; never half a surrogate pair. */
function piece(text: GrowingText, from: number): string {
  if (text.length <= from + DELTA_UNITS) return text.slice(from);
  const cut = text.slice(from, from + DELTA_UNITS);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}
