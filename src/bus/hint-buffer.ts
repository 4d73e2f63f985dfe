import type { Hint } from './hints.ts';

type TextHint = Extract<Hint, { kind: 'text' }>;

/** Roughly what a hint costs on the wire beside its text, in bytes. */
const OVERHEAD = 150;

/**
 * Hints that wait to be sent, oldest first. Text that continues the last waiting hint of its conversation joins it, so
 * the order within a conversation stays. Holds about `limit` bytes: beyond that the oldest give way, because the newest
 * tell a reader of another server the most.
 */
export class HintBuffer {
  readonly #waiting = new Set<Hint>();
  readonly #last = new Map<string, Hint>();
  readonly #limit: number;
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** About how many bytes wait. */
  get size(): number {
    return this.#size;
  }

  /** False when other hints had to give way. */
  add(hint: Hint): boolean {
    const last = this.#last.get(topicOf(hint));
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

  /** Takes all that waits. */
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

/** Within what the order of hints stays. */
function topicOf(hint: Hint): string {
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
