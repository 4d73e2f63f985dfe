import type { CallVisibility } from '../access/visible-calls.ts';
import type { ReplyPart, Usage } from '../agents/runtime.ts';
import { GrowingText } from '../conversations/stream/growing-text.ts';
import type { Json, JsonObject } from '../json.ts';

/** The longest text of a reply, in UTF-16 code units. */
export const MAX_REPLY_UNITS = 16 * 1024 * 1024;

export interface DraftFragment {
  index: number;
  kind: 'TEXT' | 'FUNCTION_CALL' | 'FUNCTION_RESPONSE';
  status: 'IN_PROGRESS' | 'DONE';
  text: GrowingText;
  name: string | null;
  args: JsonObject | null;
  callIndex: number | null;
  response: Json;
  failed: boolean;
  metadata: JsonObject;
  visibility: CallVisibility;
}

/** A runtime sent parts in a wrong order, or exceeded a limit. The message is safe to show. */
export class BadPartError extends Error {
  override name = 'BadPartError';
}

/** A reply as produced so far by its runtime. Turns parts into fragments. */
export class Draft {
  readonly fragments: DraftFragment[] = [];
  usage: Usage | undefined;
  /** Set if a human should take over once the reply has ended. */
  handoff: { reason: string | null } | undefined;
  private readonly calls = new Map<string, DraftFragment>();
  private text: DraftFragment | null = null;
  /** A high surrogate whose other half has not arrived yet. */
  private half = '';
  private units = 0;
  private finished = false;

  /** Takes the next part and returns the fragment that it changed. Throws `BadPartError` if the part is out of order. */
  take(part: ReplyPart): DraftFragment | null {
    if (this.finished) throw new BadPartError(`The agent's runtime sent ${part.type} after the end of its reply.`);
    switch (part.type) {
      case 'text-start':
        this.between(part.type);
        this.text = this.add({ kind: 'TEXT', status: 'IN_PROGRESS' });
        return this.text;
      case 'text-delta':
        return this.write(this.inText(part.type), this.half + part.text, false);
      case 'text-end': {
        const fragment = this.write(this.inText(part.type), this.half, true);
        if (part.metadata) fragment.metadata = clean(part.metadata);
        fragment.status = 'DONE';
        this.text = null;
        return fragment;
      }
      case 'tool-call': {
        this.between(part.type);
        if (this.calls.has(part.callId)) throw new BadPartError("The agent's runtime used a call id twice.");
        const { name, args, visibility = 'HIDDEN' } = part;
        const call = this.add({ kind: 'FUNCTION_CALL', name: cleanText(name), args: clean(args), visibility });
        this.calls.set(part.callId, call);
        return call;
      }
      case 'tool-result': {
        this.between(part.type);
        const call = this.calls.get(part.callId);
        if (!call) throw new BadPartError("The agent's runtime answered a call that it had not made.");
        const { response, failed } = part;
        return this.add({
          kind: 'FUNCTION_RESPONSE',
          name: call.name,
          callIndex: call.index,
          response: clean(response),
          failed,
          visibility: call.visibility,
        });
      }
      case 'state-change':
        this.between(part.type);
        return null;
      case 'handoff-request':
        this.between(part.type);
        this.handoff ??= { reason: part.reason === null ? null : cleanText(part.reason) };
        return null;
      case 'usage':
        this.usage = {
          inputTokens: (this.usage?.inputTokens ?? 0) + tokens(part.inputTokens),
          outputTokens: (this.usage?.outputTokens ?? 0) + tokens(part.outputTokens),
        };
        return null;
      case 'finish':
        this.between(part.type);
        this.finished = true;
        return null;
    }
  }

  /** Throws `BadPartError` unless the runtime has finished. */
  assertFinished(): void {
    if (!this.finished) throw new BadPartError("The agent's runtime ended without finishing its reply.");
  }

  private add(fragment: Partial<DraftFragment> & Pick<DraftFragment, 'kind'>): DraftFragment {
    const added: DraftFragment = {
      status: 'DONE',
      text: new GrowingText(),
      name: null,
      args: null,
      callIndex: null,
      response: null,
      failed: false,
      metadata: {},
      visibility: 'HIDDEN',
      ...fragment,
      index: this.fragments.length,
    };
    this.fragments.push(added);
    return added;
  }

  private write(fragment: DraftFragment, text: string, last: boolean): DraftFragment {
    const cut = !last && /[\uD800-\uDBFF]$/.test(text) ? text.length - 1 : text.length;
    this.half = text.slice(cut);
    const fresh = cleanText(text.slice(0, cut));
    this.units += fresh.length;
    if (this.units > MAX_REPLY_UNITS) throw new BadPartError('The reply was longer than a reply may be.');
    fragment.text.append(fresh);
    return fragment;
  }

  private inText(type: string): DraftFragment {
    if (!this.text) throw new BadPartError(`The agent's runtime sent ${type} outside a text.`);
    return this.text;
  }

  private between(type: string): void {
    if (this.text) throw new BadPartError(`The agent's runtime sent ${type} inside a text.`);
  }
}

/** A count that fits into a column, whatever a model reports. */
function tokens(count: number): number {
  return Number.isFinite(count) ? Math.min(Math.max(0, Math.round(count)), 1_000_000_000) : 0;
}

/** Text that PostgreSQL can store: well-formed, without NUL. */
function cleanText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '');
}

function clean<T extends Json>(value: T): T;
function clean(value: Json): Json {
  if (typeof value === 'string') return cleanText(value);
  if (Array.isArray(value)) return value.map((item) => clean(item));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [cleanText(key), clean(item)]));
  }
  return value;
}
