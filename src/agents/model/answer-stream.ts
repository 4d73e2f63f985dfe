import type {
  LanguageModelV3CallOptions,
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3Message,
  LanguageModelV3StreamPart,
  LanguageModelV3ToolCall,
} from '@ai-sdk/provider';
import type { JsonObject } from '../../json.ts';
import { type ReplyPart, RuntimeError } from '../runtime.ts';
import { modelFailure } from './failure.ts';
import { LongArgumentsError, MAX_ARGUMENT_UNITS, MAX_CALLS, TooManyCallsError } from './limits.ts';
import type { AskModel, PartSource } from './part-source.ts';
import { withRetries } from './retries.ts';

/** The longest whitespace that is kept before a text, in UTF-16 code units. */
const MAX_BLANK_UNITS = 100;

type AssistantContent = Extract<LanguageModelV3Message, { role: 'assistant' }>['content'];
type ContentPart = Exclude<AssistantContent[number], { type: 'file' | 'tool-call' | 'tool-result' }>;

/** The model's answer to one request. */
export interface Answer {
  /** What the model wrote and thought, without its calls. Sent back to it in the next step. */
  content: ContentPart[];
  calls: LanguageModelV3ToolCall[];
  /** Whether the model wrote any text. */
  hasText: boolean;
}

interface AnswerOptions {
  signal: AbortSignal;
  /** Must never appear in a message. */
  secrets: readonly string[];
  /** Metadata for each text. */
  metadata: JsonObject;
}

/** One request to a model, and its answer while it arrives. */
export class AnswerStream {
  private readonly ask: () => Promise<PartSource>;
  private readonly options: AnswerOptions;
  private readonly listener: Listener;
  private source: PartSource | null = null;

  constructor(ask: AskModel, request: LanguageModelV3CallOptions, options: AnswerOptions) {
    const { signal, metadata } = options;
    this.ask = () => withRetries(() => ask({ ...request, abortSignal: signal }), signal);
    this.options = options;
    this.listener = new Listener(metadata);
  }

  /**
   * Text as it arrives and the tokens used: what came together at once. Null at the end. Retries a transient failure as long as nothing
   * has been answered.
   * @throws {RuntimeError}
   */
  async next(): Promise<ReplyPart[] | null> {
    const { signal, secrets } = this.options;
    try {
      for (;;) {
        this.source ??= await this.ask();
        const parts = await this.source.next();
        if (!parts) {
          this.listener.assertFinished();
          return null;
        }
        const heard = this.listener.hear(parts);
        if (heard.length > 0) return heard;
      }
    } catch (error) {
      signal.throwIfAborted();
      throw modelFailure(error, this.source ? 'answering' : 'asking', secrets);
    }
  }

  /** Must be called once, however the reading ends: closes the connection unless all was read. */
  leave(): void {
    this.source?.leave();
  }

  /** The whole answer, once it has ended. */
  get answer(): Answer {
    return this.listener.end();
  }
}

/** Turns the parts of a model's stream into parts of a reply. */
class Listener {
  private readonly answer: Answer = { content: [], calls: [], hasText: false };
  private readonly metadata: JsonObject;
  private heard: ReplyPart[] = [];
  /** What it was told that makes the answer fail, after what was heard before. */
  private fault: { error: unknown } | null = null;
  private writing = false;
  /** Whitespace before the first visible character of a text. */
  private blank = '';
  private begunCalls = 0;
  private argumentUnits = 0;
  private finished = false;

  constructor(metadata: JsonObject) {
    this.metadata = metadata;
  }

  /** Throws what is wrong only once what was heard before it has been returned. */
  hear(parts: readonly LanguageModelV3StreamPart[]): ReplyPart[] {
    this.throwFault();
    this.heard = [];
    try {
      for (const part of parts) this.hearOne(part);
    } catch (error) {
      this.fault = { error };
    }
    if (this.heard.length === 0) this.throwFault();
    return this.heard;
  }

  private hearOne(part: LanguageModelV3StreamPart): void {
    switch (part.type) {
      case 'error':
        throw part.error;
      case 'text-start':
        // The previous text is ended only now, since the finish may add a reason to the last text.
        this.endText({});
        this.answer.content.push({ type: 'text', text: '', ...optionsOf(part) });
        return;
      case 'text-delta':
        this.write(part.delta);
        this.keep('text', part);
        return;
      case 'text-end':
        this.keep('text', { ...part, delta: '' });
        return;
      case 'reasoning-start':
        this.answer.content.push({ type: 'reasoning', text: '', ...optionsOf(part) });
        return;
      case 'reasoning-delta':
        this.keep('reasoning', part);
        return;
      case 'reasoning-end':
        this.keep('reasoning', { ...part, delta: '' });
        return;
      case 'tool-input-start':
        this.begunCalls += 1;
        if (this.begunCalls > MAX_CALLS) throw new TooManyCallsError();
        return;
      case 'tool-input-delta':
        this.argumentUnits += part.delta.length;
        if (this.argumentUnits > MAX_ARGUMENT_UNITS) throw new LongArgumentsError();
        return;
      case 'tool-call':
        this.answer.calls.push(part);
        return;
      case 'finish': {
        const { inputTokens, outputTokens } = part.usage;
        if (inputTokens.total !== undefined || outputTokens.total !== undefined) {
          this.heard.push({
            type: 'usage',
            inputTokens: inputTokens.total ?? 0,
            outputTokens: outputTokens.total ?? 0,
          });
        }
        this.finished = this.isFinish(part.finishReason);
        // A text that was cut off gets no `text-end`.
        if (this.finished) this.endText(noteOf(part.finishReason));
        return;
      }
      default:
        return;
    }
  }

  /** Throws if the stream ended too early. */
  assertFinished(): void {
    this.throwFault();
    if (!this.finished) throw new Error('The stream ended without a finish.');
  }

  /** The whole answer. */
  end(): Answer {
    const { content, ...answer } = this.answer;
    // Providers refuse texts without visible characters.
    return { ...answer, content: content.filter(({ type, text }) => type === 'reasoning' || text.trim() !== '') };
  }

  private throwFault(): void {
    if (this.fault) throw this.fault.error;
  }

  private isFinish({ unified, raw }: LanguageModelV3FinishReason): boolean {
    if (unified === 'content-filter' && !this.answer.hasText) {
      throw new RuntimeError("The model's provider withheld the answer.");
    }
    // Without a reason from the provider, the client has made one up because the stream ended too early.
    return raw !== undefined || (unified !== 'other' && unified !== 'error');
  }

  /** Holds text back until the first visible character: some models write blank lines before a call. */
  private write(delta: string): void {
    let text = delta;
    if (!this.writing) {
      text = this.blank + delta;
      this.blank = text.slice(0, MAX_BLANK_UNITS);
      if (text.trim() === '') return;
      this.writing = true;
      this.answer.hasText = true;
      this.heard.push({ type: 'text-start' });
    }
    if (text !== '') this.heard.push({ type: 'text-delta', text });
  }

  private endText(note: JsonObject): void {
    this.blank = '';
    if (!this.writing) return;
    this.writing = false;
    this.heard.push({ type: 'text-end', metadata: { ...this.metadata, ...note } });
  }

  private keep(type: ContentPart['type'], part: { delta: string } & Pick<LanguageModelV3Content, 'providerMetadata'>) {
    const last = this.answer.content.at(-1);
    if (last?.type !== type) return;
    last.text += part.delta;
    if (part.providerMetadata) last.providerOptions = part.providerMetadata;
  }
}

/** Provider data that must be sent back with the provider's own output. */
function optionsOf({ providerMetadata }: Pick<LanguageModelV3Content, 'providerMetadata'>) {
  return providerMetadata ? { providerOptions: providerMetadata } : {};
}

/** Why a text ended, if not because the model was finished. */
function noteOf({ unified }: LanguageModelV3FinishReason): JsonObject {
  return unified === 'length' || unified === 'content-filter' ? { finishReason: unified } : {};
}
