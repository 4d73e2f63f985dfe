import type {
  LanguageModelV3,
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
import { withRetries } from './retries.ts';

/** The longest arguments of the calls of one step, in UTF-16 code units. */
const MAX_ARGUMENT_UNITS = 256 * 1024;

/** The longest blank that is kept before a text, in UTF-16 code units. */
const MAX_BLANK_UNITS = 100;

/** The most calls of one step. */
const MAX_CALLS = 32;

type AssistantContent = Extract<LanguageModelV3Message, { role: 'assistant' }>['content'];
type ContentPart = Exclude<AssistantContent[number], { type: 'file' | 'tool-call' | 'tool-result' }>;

/** What the model said when it was asked once. */
export interface Answer {
  /** What it wrote and thought, to be shown to it again, without its calls. */
  content: ContentPart[];
  calls: LanguageModelV3ToolCall[];
  /** Whether it wrote anything. */
  hasText: boolean;
}

interface AskOptions {
  signal: AbortSignal;
  /** Never told. */
  secrets: readonly string[];
  /** What each text is to carry. */
  metadata: JsonObject;
}

/**
 * Asks the model once: yields what it writes, as it comes, and what it used, and returns the whole. Asks again while
 * nothing has been answered and it is worth it.
 * @throws {RuntimeError}
 */
export async function* ask(
  model: LanguageModelV3,
  request: LanguageModelV3CallOptions,
  { signal, secrets, metadata }: AskOptions,
): AsyncGenerator<ReplyPart, Answer> {
  const listener = new Listener(metadata);
  let stage: 'asking' | 'answering' = 'asking';
  try {
    const { stream } = await withRetries(async () => model.doStream({ ...request, abortSignal: signal }), signal);
    stage = 'answering';
    // Leaving the loop early closes the connection.
    for await (const part of stream) {
      if (part.type === 'error') throw part.error;
      yield* listener.hear(part);
    }
    return listener.end();
  } catch (error) {
    signal.throwIfAborted();
    throw modelFailure(error, stage, secrets);
  }
}

/** Turns the parts of a model's stream into parts of a reply. */
class Listener {
  private readonly answer: Answer = { content: [], calls: [], hasText: false };
  private readonly metadata: JsonObject;
  private writing = false;
  /** What came before the first character of a text that can be seen. */
  private blank = '';
  private begunCalls = 0;
  private argumentUnits = 0;
  private finished = false;

  constructor(metadata: JsonObject) {
    this.metadata = metadata;
  }

  *hear(part: LanguageModelV3StreamPart): Generator<ReplyPart> {
    switch (part.type) {
      case 'text-start':
        // The end of the text before waits for this moment: only the finish tells why it ended.
        yield* this.endText({});
        this.answer.content.push({ type: 'text', text: '', ...optionsOf(part) });
        return;
      case 'text-delta':
        yield* this.write(part.delta);
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
        if (this.begunCalls > MAX_CALLS) throw new RuntimeError('The model called too many tools at once.');
        return;
      case 'tool-input-delta':
        this.argumentUnits += part.delta.length;
        if (this.argumentUnits > MAX_ARGUMENT_UNITS) throw new RuntimeError('The model called a tool with too much.');
        return;
      case 'tool-call':
        this.answer.calls.push(part);
        return;
      case 'finish': {
        const { inputTokens, outputTokens } = part.usage;
        if (inputTokens.total !== undefined || outputTokens.total !== undefined) {
          yield { type: 'usage', inputTokens: inputTokens.total ?? 0, outputTokens: outputTokens.total ?? 0 };
        }
        this.finished = this.isFinish(part.finishReason);
        // A text that breaks off is never said to have ended.
        if (this.finished) yield* this.endText(noteOf(part.finishReason));
        return;
      }
      default:
        return;
    }
  }

  /** The whole answer. Throws when the stream ended too early. */
  end(): Answer {
    if (!this.finished) throw new Error('The stream ended without a finish.');
    const { content, ...answer } = this.answer;
    // Providers refuse texts in which nothing can be seen.
    return { ...answer, content: content.filter(({ type, text }) => type === 'reasoning' || text.trim() !== '') };
  }

  private isFinish({ unified, raw }: LanguageModelV3FinishReason): boolean {
    if (unified === 'content-filter' && !this.answer.hasText) {
      throw new RuntimeError("The model's provider withheld the answer.");
    }
    // Without what the provider said it is only what clients make up when a stream has ended too early.
    return raw !== undefined || (unified !== 'other' && unified !== 'error');
  }

  /** Waits for the first character that can be seen: some models write blank lines before a call. */
  private *write(delta: string): Generator<ReplyPart> {
    let text = delta;
    if (!this.writing) {
      text = this.blank + delta;
      this.blank = text.slice(0, MAX_BLANK_UNITS);
      if (text.trim() === '') return;
      this.writing = true;
      this.answer.hasText = true;
      yield { type: 'text-start' };
    }
    if (text !== '') yield { type: 'text-delta', text };
  }

  private *endText(note: JsonObject): Generator<ReplyPart> {
    this.blank = '';
    if (!this.writing) return;
    this.writing = false;
    yield { type: 'text-end', metadata: { ...this.metadata, ...note } };
  }

  private keep(type: ContentPart['type'], part: { delta: string } & Pick<LanguageModelV3Content, 'providerMetadata'>) {
    const last = this.answer.content.at(-1);
    if (last?.type !== type) return;
    last.text += part.delta;
    Object.assign(last, optionsOf(part));
  }
}

/** What a provider wants to be given back with what it said. */
function optionsOf({ providerMetadata }: Pick<LanguageModelV3Content, 'providerMetadata'>) {
  return providerMetadata ? { providerOptions: providerMetadata } : {};
}

/** Why a text ended, when not because the model had said all. */
function noteOf({ unified }: LanguageModelV3FinishReason): JsonObject {
  return unified === 'length' || unified === 'content-filter' ? { finishReason: unified } : {};
}
