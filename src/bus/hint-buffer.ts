import { isDeepStrictEqual } from 'node:util';
import type { Hint } from './hints.ts';

type TextHint = Extract<Hint, { kind: 'text' }>;

/** Approximate size of a hint on the wire without its text, in bytes. */
const OVERHEAD = 150;

/**
 * Hints that wait to be sent, oldest first. Text that continues the last waiting hint of its conversation is joined to it, so
 * the order within a conversation stays. Holds about `limit` bytes. Beyond that the oldest are dropped, because the newest
 * are the most useful to readers on other servers.
 */
export class HintBuffer {
  readonly #waiting = new Set<Hint>();
  readonly #last = new Map<string, Hint>();
  readonly #limit: number;
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Approximate number of waiting bytes. */
  get size(): number {
    return this.#size;
  }

  /** False if other hints were dropped. */
  add(hint: Hint): boolean {
    const last = this.#last.get(topicOf(hint));
    // To say it twice in a row is no use.
    if (last && last.kind !== 'text' && isDeepStrictEqual(last, hint)) return true;
    if (hint.kind === 'text' && last?.kind === 'text' && continues(last, hint)) {
      last.text += hint.text;
      this.#size += hint.text.length;
    } else {
      const own = { ...hint };
      this.#waiting.add(own);
      this.#last.set(topicOf(own), own);
      this.#size += sizeOf(own);
    }
    return this.#shrink();
  }

  /** Removes and returns all waiting hints. */
  take(): Hint[] {
    const hints = [...this.#waiting];
    this.#waiting.clear();
    this.#last.clear();
    this.#size = 0;
    return hints;
  }

  #shrink(): boolean {
    if (this.#size <= this.#limit) return true;
    for (const oldest of this.#waiting) {
      this.#waiting.delete(oldest);
      if (this.#last.get(topicOf(oldest)) === oldest) this.#last.delete(topicOf(oldest));
      this.#size -= sizeOf(oldest);
      if (this.#size <= this.#limit) break;
    }
    return false;
  }
}

/** The topic of a hint. Hints of one topic keep their order. */
function topicOf(hint: Hint): string {
  if (hint.kind === 'log-moved') return hint.kind;
  return hint.kind === 'revoked' ? hint.keyId : hint.conversationId;
}

function sizeOf(hint: Hint): number {
  return OVERHEAD + (hint.kind === 'text' ? hint.text.length : 0);
}

function continues(last: TextHint, next: TextHint): boolean {
  return (
    last.messageId === next.messageId &&
    last.fragment === next.fragment &&
    last.offset + last.text.length === next.offset
  );
}
