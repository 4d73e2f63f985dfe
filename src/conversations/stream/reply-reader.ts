import type { FragmentPlace, StreamPosition } from './cursor.ts';
import type { LiveFragment } from './live-fragment.ts';
import type { GrowingText } from './growing-text.ts';
import type { StreamEvent } from './stream-event.ts';

/** The longest delta, in UTF-16 code units. A reader that was slow gets long text in several deltas. */
const DELTA_UNITS = 64 * 1024;

type Part = StreamEvent extends infer E
  ? E extends { kind: `fragment-${string}` }
    ? Omit<E, 'conversationId' | 'cursor'>
    : never
  : never;

/** Reads one reply's text from a place on. Text only grows, except that it may become shorter when the reply ends. */
export class TextReader {
  readonly messageId: string;
  private readonly version: number;
  private at: FragmentPlace;

  constructor(messageId: string, version: number, at: FragmentPlace = { fragment: 0, started: false, units: 0 }) {
    this.messageId = messageId;
    this.version = version;
    this.at = { fragment: at.fragment, started: at.started, units: at.units };
  }

  place(): NonNullable<StreamPosition['running']> {
    const { fragment, started, units } = this.at;
    return { version: this.version, fragment, started, units };
  }

  /** Another one at the same place. */
  clone(): TextReader {
    return new TextReader(this.messageId, this.version, this.at);
  }

  /** Whether another one stands at the same place. */
  isAt({ messageId, at }: TextReader): boolean {
    const own = this.at;
    return (
      messageId === this.messageId &&
      at.fragment === own.fragment &&
      at.started === own.started &&
      at.units === own.units
    );
  }

  /** The next event for these fragments. Null if there is nothing new. */
  next(fragments: readonly LiveFragment[], settled: boolean): Part | null {
    const { at } = this;
    const fragment = fragments[at.fragment];
    if (!fragment) return null;
    const occurredAt = new Date();
    if (!at.started) {
      this.at = { fragment: at.fragment, started: true, units: 0 };
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
    const { length } = fragment.text;
    if (length > at.units || (length < at.units && settled)) {
      const offset = Math.min(at.units, length);
      const text = piece(fragment.text, offset);
      this.at = { fragment: at.fragment, started: true, units: offset + text.length };
      return { kind: 'fragment-delta', occurredAt, offset, text, fragment };
    }
    if (fragment.status !== 'DONE') return null;
    this.at = { fragment: at.fragment + 1, started: false, units: 0 };
    return { kind: 'fragment-completed', occurredAt, fragment: { ...fragment, text: fragment.text.toString() } };
  }
}

/** The text from a place on, at most one delta. Never splits a surrogate pair. */
function piece(text: GrowingText, from: number): string {
  if (text.length <= from + DELTA_UNITS) return text.slice(from);
  const cut = text.slice(from, from + DELTA_UNITS);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}
