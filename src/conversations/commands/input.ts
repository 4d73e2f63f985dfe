import type { Author } from '../../access/caller.ts';
import { type CallVisibility, DEFAULT_VISIBILITY } from '../../access/visible-calls.ts';
import type { JsonObject } from '../../json.ts';
import { ValueReader, valueLimits } from '../../value-reader.ts';
import type { NewFragment, StatePatch } from '../model.ts';

/** Limits in bytes of UTF-8. JSON is measured in compact form. */
export const limits = {
  ...valueLimits,
  content: 1024 * 1024,
  context: 256 * 1024,
  fragments: 1000,
} as const;

/** The value of a `ContentInput`: exactly one field is given. */
export interface ContentInput {
  text?: string | null | undefined;
  fragments?: FragmentInput[] | null | undefined;
}

/** The value of a `FragmentInput`: exactly one field is given. */
export interface FragmentInput {
  text?: { text: string; metadata?: unknown } | null | undefined;
  functionCall?: { name: string; args: unknown; metadata?: unknown; visibility: CallVisibility } | null | undefined;
  functionResponse?:
    | {
        name: string;
        callIndex?: number | null | undefined;
        response?: unknown;
        failed: boolean;
        metadata?: unknown;
        /** Default: as for its call. */
        visibility?: CallVisibility | null | undefined;
      }
    | null
    | undefined;
}

export interface AuthorInput {
  externalId?: string | null | undefined;
  displayName?: string | null | undefined;
  avatarUrl?: string | URL | null | undefined;
}

export interface StateInput {
  playbook?: string | null | undefined;
  phase?: string | null | undefined;
  systemMessage?: string | null | undefined;
  context?: unknown;
}

/** Reads the input of commands on conversations. */
export class InputReader extends ValueReader {
  /** `mayBeEmpty`: a message that has files needs no text. */
  content(path: string[], content: ContentInput, mayBeEmpty = false): NewFragment[] {
    if (content.text != null) {
      const text = this.text([...path, 'text'], content.text, limits.content) ?? '';
      if (text === '' && mayBeEmpty) return [];
      if (text === '') this.refuse([...path, 'text'], 'Must not be empty.', 'REQUIRED');
      return [{ kind: 'TEXT', text, metadata: {} }];
    }
    const inputs = content.fragments ?? [];
    const at = [...path, 'fragments'];
    if (inputs.length === 0) this.refuse(at, 'Must hold at least one fragment.', 'REQUIRED');
    if (inputs.length > limits.fragments) {
      this.refuse(at, `Holds ${inputs.length} fragments; at most ${limits.fragments} are allowed.`, 'TOO_LONG');
      return [];
    }
    const fragments = inputs.map((input, index) =>
      this.fragment([...at, String(index)], input, inputs.slice(0, index)),
    );
    const bytes = Buffer.byteLength(JSON.stringify(fragments));
    if (bytes > limits.content)
      this.refuse(at, `Are ${bytes} bytes in all; at most ${limits.content} are allowed.`, 'TOO_LARGE');
    return fragments;
  }

  author(path: string[], input: AuthorInput): Omit<Author, 'kind'> {
    const author = {
      externalId: this.text([...path, 'externalId'], input.externalId),
      displayName: this.text([...path, 'displayName'], input.displayName),
      avatarUrl: this.url([...path, 'avatarUrl'], input.avatarUrl),
    };
    return Object.fromEntries(Object.entries(author).filter(([, value]) => value !== undefined));
  }

  state(path: string[], input: StateInput): StatePatch {
    const patch: StatePatch = {};
    if (input.playbook !== undefined) patch.playbook = this.text([...path, 'playbook'], input.playbook) ?? null;
    if (input.phase !== undefined) patch.phase = this.text([...path, 'phase'], input.phase) ?? null;
    if (input.systemMessage !== undefined) {
      patch.systemMessage = this.text([...path, 'systemMessage'], input.systemMessage, limits.systemText) ?? null;
    }
    if (input.context !== undefined) patch.context = this.json([...path, 'context'], input.context, limits.context);
    return patch;
  }

  idempotencyKey(value: string | null | undefined): string | null {
    if (value == null) return null;
    const path = ['idempotencyKey'];
    this.wellFormed(path, value);
    if (value.length < 1 || value.length > 255) this.refuse(path, 'Must be 1 to 255 characters long.', 'TOO_LONG');
    return value;
  }

  /** Metadata of a message or a fragment. End users see it. Only agents may write `citations`. */
  metadata(path: string[], value: unknown): JsonObject {
    const metadata = this.object(path, value) ?? {};
    if ('citations' in metadata) this.refuse([...path, 'citations'], 'Is written by agents alone.');
    return metadata;
  }

  private fragment(path: string[], input: FragmentInput, earlier: FragmentInput[]): NewFragment {
    if (input.functionCall) {
      const at = [...path, 'functionCall'];
      return {
        kind: 'FUNCTION_CALL',
        name: this.name([...at, 'name'], input.functionCall.name),
        args: this.object([...at, 'args'], input.functionCall.args, limits.content) ?? {},
        metadata: this.metadata([...at, 'metadata'], input.functionCall.metadata),
        visibility: input.functionCall.visibility,
      };
    }
    if (input.functionResponse) {
      const at = [...path, 'functionResponse'];
      const { callIndex = null, response = null, failed } = input.functionResponse;
      const call = callIndex === null ? null : earlier[callIndex]?.functionCall;
      if (callIndex !== null && !call) {
        this.refuse(
          [...at, 'callIndex'],
          'Must be the index of a function call earlier in the same list.',
          'OUT_OF_RANGE',
        );
      }
      return {
        kind: 'FUNCTION_RESPONSE',
        name: this.name([...at, 'name'], input.functionResponse.name),
        callIndex,
        response: this.json([...at, 'response'], response, limits.content),
        failed,
        metadata: this.metadata([...at, 'metadata'], input.functionResponse.metadata),
        visibility: input.functionResponse.visibility ?? call?.visibility ?? DEFAULT_VISIBILITY,
      };
    }
    const at = [...path, 'text'];
    const text = this.text([...at, 'text'], input.text?.text ?? '', limits.content) ?? '';
    if (text === '') this.refuse([...at, 'text'], 'Must not be empty.', 'REQUIRED');
    return { kind: 'TEXT', text, metadata: this.metadata([...at, 'metadata'], input.text?.metadata) };
  }

  private name(path: string[], value: string): string {
    const name = this.text(path, value) ?? '';
    if (name === '') this.refuse(path, 'Must not be empty.', 'REQUIRED');
    return name;
  }
}
