import { InvalidInputError, type InputIssue, type InputIssueCode } from './errors.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** Limits in bytes of UTF-8. JSON is measured in compact form. */
export const valueLimits = {
  metadata: 64 * 1024,
  /** Names, titles and other short texts. */
  line: 1024,
  systemText: 64 * 1024,
  jsonDepth: 64,
} as const;

/** The most problems reported for one input. */
const MAX_ISSUES = 100;
/** The longest name in a path, in characters. */
const MAX_NAME = 100;

/** Reads values of an input and collects problems. `finish` throws them together. Beyond 100, reading stops at once. */
export class ValueReader {
  readonly issues: InputIssue[] = [];

  /** Throws `InvalidInputError` if there was any problem. */
  finish(): void {
    if (this.issues.length > 0) throw new InvalidInputError(this.issues);
  }

  refuse(path: string[], detail: string, code: InputIssueCode = 'NOT_ALLOWED'): void {
    this.issues.push({ path: path.map((name) => name.slice(0, MAX_NAME)), code, detail });
    if (this.issues.length >= MAX_ISSUES) this.finish();
  }

  /** Reads well-formed text without NUL, within a limit. Undefined if left out or null. */
  text(path: string[], value: string | null | undefined, max: number = valueLimits.line): string | undefined {
    if (value == null) return undefined;
    this.wellFormed(path, value);
    const bytes = Buffer.byteLength(value);
    if (bytes > max) this.refuse(path, `Is ${bytes} bytes long; at most ${max} are allowed.`, 'TOO_LONG');
    return value;
  }

  /** Reads an absolute `http:` or `https:` URL of at most 2048 bytes. Undefined if left out or null. */
  url(path: string[], value: string | URL | null | undefined): string | undefined {
    const text = this.text(path, value == null ? value : String(value), 2048);
    if (text !== undefined && !(URL.canParse(text) && /^https?:$/.test(new URL(text).protocol))) {
      this.refuse(path, 'Must be an absolute http: or https: URL.', 'MALFORMED');
    }
    return text;
  }

  /** Reads a JSON object within a limit. Undefined if left out or null. */
  object(path: string[], value: unknown, max: number = valueLimits.metadata): JsonObject | undefined {
    if (value == null) return undefined;
    const json = this.json(path, value, max);
    if (isJsonObject(json)) return json;
    this.refuse(path, 'Must be a JSON object.', 'MALFORMED');
    return undefined;
  }

  json(path: string[], value: unknown, max: number = valueLimits.metadata): Json {
    const before = this.issues.length;
    const json = this.plain(path, value, 0);
    if (this.issues.length === before) {
      const bytes = Buffer.byteLength(JSON.stringify(json));
      if (bytes > max) this.refuse(path, `Is ${bytes} bytes of JSON; at most ${max} are allowed.`, 'TOO_LARGE');
    }
    return json;
  }

  /** Refuses a value that takes more bytes as JSON. */
  atMost(path: string[], value: unknown, max: number): void {
    const bytes = Buffer.byteLength(JSON.stringify(value));
    if (bytes > max) this.refuse(path, `Is ${bytes} bytes in all; at most ${max} are allowed.`);
  }

  protected wellFormed(path: string[], value: string): void {
    if (value.includes('\0'))
      this.refuse(path, 'Contains a NUL character (U+0000), which cannot be stored.', 'MALFORMED');
    if (!value.isWellFormed())
      this.refuse(path, 'Contains half of a surrogate pair: not a valid Unicode text.', 'MALFORMED');
  }

  private plain(path: string[], value: unknown, depth: number): Json {
    if (depth > valueLimits.jsonDepth) {
      this.refuse(path, `Is nested more than ${valueLimits.jsonDepth} levels deep.`, 'TOO_LARGE');
      return null;
    }
    if (typeof value === 'string') this.wellFormed(path, value);
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) this.refuse(path, 'Is not a finite number.', 'MALFORMED');
      return value;
    }
    if (Array.isArray(value)) return value.map((item, index) => this.plain([...path, String(index)], item, depth + 1));
    if (typeof value === 'object') {
      const entries = Object.entries(value).map(([key, item]): [string, Json] => {
        this.wellFormed([...path, key], key);
        return [key, this.plain([...path, key], item, depth + 1)];
      });
      return Object.fromEntries(entries);
    }
    this.refuse(path, 'Is not a JSON value.', 'MALFORMED');
    return null;
  }
}
