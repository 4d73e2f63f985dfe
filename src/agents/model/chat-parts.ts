import {
  InvalidResponseDataError,
  JSONParseError,
  type LanguageModelV3StreamPart,
  TypeValidationError,
} from '@ai-sdk/provider';
import { convertOpenAICompatibleChatUsage, mapOpenAICompatibleFinishReason } from '@ai-sdk/openai-compatible/internal';
import { isJsonObject } from '../../json.ts';
import { type ChatChunk, type ChatUsage, type ContentPart, isChatChunk, isFaultChunk } from './chat-chunk.ts';
import { ChatCalls } from './chat-calls.ts';

/** What parts of the same kind share. */
const ids = { text: 'txt-0', reasoning: 'reasoning-0' } as const;

/** Turns the events of an OpenAI-compatible stream into the parts that the provider's own client makes of them. */
export class ChatParts {
  private parts: LanguageModelV3StreamPart[] = [];
  private readonly calls = new ChatCalls((part) => this.parts.push(part));
  private active: 'text' | 'reasoning' | null = null;
  private finishReason: string | undefined;
  private hasRefusal = false;
  private usage: ChatUsage | null | undefined;

  /** The parts since they were last taken. */
  take(): LanguageModelV3StreamPart[] {
    const { parts } = this;
    this.parts = [];
    return parts;
  }

  /** Takes the data of an event. Returns whether there may be more: not after a fault, which is the last part. */
  hear(data: string): boolean {
    if (data === '[DONE]') return true;
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch (cause) {
      return this.fail(new JSONParseError({ text: data, cause }));
    }
    if (!isChatChunk(value) && !isFaultChunk(value)) {
      return this.fail(new TypeValidationError({ value, cause: new Error('It is no chunk of a chat.') }));
    }
    if ('error' in value) return this.fail(value.error);
    try {
      this.add(value);
    } catch (error) {
      return this.fail(error);
    }
    return true;
  }

  /** The stream has ended. */
  end(): void {
    this.endActive();
    try {
      this.calls.end();
    } catch (error) {
      this.fail(error);
      return;
    }
    const { finishReason: raw, hasRefusal } = this;
    if (raw === undefined) {
      const message = 'Response stream ended without a finish reason.';
      this.fail(new InvalidResponseDataError({ data: undefined, message }));
      return;
    }
    this.parts.push({
      type: 'finish',
      finishReason: { unified: mapOpenAICompatibleFinishReason(raw, { hasRefusal }), raw },
      usage: convertOpenAICompatibleChatUsage(this.usage),
    });
  }

  private add({ choices: [choice], usage }: ChatChunk): void {
    this.usage = usage ?? this.usage;
    this.finishReason = choice?.finish_reason ?? this.finishReason;
    if (!choice?.delta) return;
    const { content, refusal, reasoning_content, reasoning, tool_calls } = choice.delta;
    this.write('reasoning', reasoning_content ?? reasoning ?? '');
    if (typeof content === 'string') this.write('text', content);
    else if (content) this.addContent(content);
    if (typeof refusal === 'string' && refusal !== '') {
      this.hasRefusal = true;
      this.write('text', refusal);
    }
    if (!tool_calls || tool_calls.length === 0) return;
    // Unlike a text, thoughts end when calls begin.
    if (this.active === 'reasoning') this.endActive();
    this.calls.add(tool_calls);
  }

  /** What stands together is written at once: there may be any number of it. */
  private addContent(content: readonly ContentPart[]): void {
    let pending: { kind: 'text' | 'reasoning'; text: string } = { kind: 'text', text: '' };
    for (const { type, text, thinking } of content) {
      const kind = type === 'thinking' ? 'reasoning' : 'text';
      const said = kind === 'text' ? (type === 'text' && typeof text === 'string' ? text : '') : thoughtsOf(thinking);
      if (said === '') continue;
      if (kind !== pending.kind) {
        this.write(pending.kind, pending.text);
        pending = { kind, text: '' };
      }
      pending.text += said;
    }
    this.write(pending.kind, pending.text);
  }

  private write(kind: 'text' | 'reasoning', delta: string): void {
    if (delta === '') return;
    if (this.active !== kind) {
      this.endActive();
      this.parts.push({ type: `${kind}-start`, id: ids[kind] });
      this.active = kind;
    }
    this.parts.push({ type: `${kind}-delta`, id: ids[kind], delta });
  }

  private endActive(): void {
    if (this.active) this.parts.push({ type: `${this.active}-end`, id: ids[this.active] });
    this.active = null;
  }

  private fail(error: unknown): false {
    this.parts.push({ type: 'error', error });
    return false;
  }
}

function thoughtsOf(thinking: unknown): string {
  if (!Array.isArray(thinking)) return '';
  return thinking
    .map((thought: unknown) => (isJsonObject(thought) && thought.type === 'text' ? thought.text : null))
    .filter((text) => typeof text === 'string')
    .join('');
}
