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

/** The longest whitespace that is kept before a text, in UTF-16 code units. */
const MAX_BLANK_UNITS = 100;

/** The most calls of one step. */
const MAX_CALLS = 32;

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

interface AskOptions {
  signal: AbortSignal;
  /** Must never appear in a message. */
  secrets: readonly string[];
  /** Metadata for each text. */
  metadata: JsonObject;
}

/**
 * Sends one request to the model. Yields text as it arrives and the tokens used, and returns the whole answer. Retries a
 * transient failure as long as nothing has been answered.
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
  /** Whitespace before the first visible character of a text. */
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
        // The previous text is ended only now, since the finish may add a reason to the last text.
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
        // A text that was cut off gets no `text-end`.
        if (this.finished) yield* this.endText(noteOf(part.finishReason));
        return;
      }
      default:
        return;
    }
  }

  /** The whole answer. Throws if the stream ended too early. */
  end(): Answer {
    if (!this.finished) throw new Error('The stream ended without a finish.');
    const { content, ...answer } = this.answer;
    // Providers refuse texts without visible characters.
    return { ...answer, content: content.filter(({ type, text }) => type === 'reasoning' || text.trim() !== '') };
  }

  private isFinish({ unified, raw }: LanguageModelV3FinishReason): boolean {
    if (unified === 'content-filter' && !this.answer.hasText) {
      throw new RuntimeError("The model's provider withheld the answer.");
    }
    // Without a reason from the provider, the client has made one up because the stream ended too early.
    return raw !== undefined || (unified !== 'other' && unified !== 'error');
  }

  /** Holds text back until the first visible character: some models write blank lines before a call. */
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

/** Provider data that must be sent back with the provider's own output. */
function optionsOf({ providerMetadata }: Pick<LanguageModelV3Content, 'providerMetadata'>) {
  return providerMetadata ? { providerOptions: providerMetadata } : {};
}

/** Why a text ended, if not because the model was finished. */
function noteOf({ unified }: LanguageModelV3FinishReason): JsonObject {
  return unified === 'length' || unified === 'content-filter' ? { finishReason: unified } : {};
}
