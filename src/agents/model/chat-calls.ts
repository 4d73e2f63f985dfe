import type { LanguageModelV3StreamPart } from '@ai-sdk/provider';
import { generateId, StreamingToolCallTracker } from '@ai-sdk/provider-utils';
import type { CallDelta } from './chat-chunk.ts';
import { LongArgumentsError, MAX_ARGUMENT_UNITS, TooManyCallsError } from './limits.ts';

/** The most pieces of calls in one event, and the most places that calls may have: the tracker compares many of them with each other. */
const MAX_PIECES = 100;

/** The metadata's key, by which the client finds it in the next request. */
const PROVIDER = 'openai-compatible';

interface Nameless {
  id: string | null;
  args: string;
  extra: CallDelta['extra_content'];
}

/** Puts the calls of a stream together from their pieces. A call begins with its name, which may not come with the first of them. */
export class ChatCalls {
  private readonly tracker: StreamingToolCallTracker<CallDelta>;
  private readonly nameless = new Map<number, Nameless>();
  private readonly named = new Set<number>();

  constructor(emit: (part: LanguageModelV3StreamPart) => void) {
    this.tracker = new StreamingToolCallTracker<CallDelta>(
      { enqueue: emit },
      {
        generateId,
        extractMetadata({ extra_content: extra }) {
          const thoughtSignature = extra?.google?.thought_signature;
          return thoughtSignature ? { [PROVIDER]: { thoughtSignature } } : undefined;
        },
        buildToolCallProviderMetadata: (metadata) => metadata,
      },
    );
  }

  add(deltas: readonly CallDelta[]): void {
    if (deltas.length > MAX_PIECES) throw new TooManyCallsError();
    for (const delta of deltas) this.addOne(delta);
  }

  /** Throws `InvalidResponseDataError` for a call that has got no name. */
  end(): void {
    for (const [index, { id, args }] of this.nameless)
      this.tracker.processDelta({ index, id, function: { arguments: args } });
    this.nameless.clear();
    this.tracker.flush();
  }

  private addOne(delta: CallDelta): void {
    const { index, id, extra_content, function: called } = delta;
    if (index == null || this.named.has(index)) {
      this.tracker.processDelta(delta);
      return;
    }
    const known = this.nameless.get(index);
    const pending: Nameless = {
      id: known?.id ?? id ?? null,
      args: (known?.args ?? '') + (called.arguments ?? ''),
      extra: known?.extra ?? extra_content,
    };
    if (pending.args.length > MAX_ARGUMENT_UNITS) throw new LongArgumentsError();
    this.nameless.set(index, pending);
    if (this.nameless.size + this.named.size > MAX_PIECES) throw new TooManyCallsError();
    if (called.name == null) return;
    const whole = { index, id: pending.id, function: { name: called.name, arguments: pending.args } };
    this.tracker.processDelta({ ...whole, extra_content: pending.extra });
    this.nameless.delete(index);
    this.named.add(index);
  }
}
