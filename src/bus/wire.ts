import { z } from 'zod';
import { authorKindsOfHints, type Hint, type HintAuthor } from './hints.ts';

const name = z.string().min(1);
const count = z.int().min(0);

const text = z.string().nullish();

const authorSchema = z.object({
  kind: z.enum(authorKindsOfHints),
  displayName: text,
  avatarUrl: text,
  externalId: text,
  contactId: text,
  operatorId: text,
}) satisfies z.ZodType<HintAuthor>;

const hintSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('log'),
    conversationId: name,
    organizationId: name.optional(),
    version: count,
    settled: name.optional(),
    moved: z.literal(true).optional(),
  }),
  z.object({ kind: z.literal('fragments'), conversationId: name, messageId: name }),
  z.object({
    kind: z.literal('text'),
    conversationId: name,
    messageId: name,
    fragment: count,
    offset: count,
    text: z.string(),
  }),
  z.object({ kind: z.literal('who-follows'), conversationId: name }),
  z.object({ kind: z.literal('follows'), conversationId: name }),
  z.object({ kind: z.literal('who-is-there'), conversationId: name }),
  z.object({
    kind: z.literal('present'),
    conversationId: name,
    person: name,
    author: authorSchema,
    typing: z.boolean().optional(),
  }),
  z.object({ kind: z.literal('read'), conversationId: name, position: count }),
  z.object({ kind: z.literal('absent'), conversationId: name, person: name }),
  z.object({ kind: z.literal('log-moved') }),
  z.object({ kind: z.literal('revoked'), keyId: name }),
]) satisfies z.ZodType<Hint>;

const payloadSchema = z.object({ sender: name, hints: z.array(z.unknown()) });

/**
 * Packs hints, in order, into as few payloads as possible, each of at most `limit` bytes of UTF-8. A text too long for one payload
 * becomes several hints, never cut inside a surrogate pair. Any other hint that is too long is left out.
 */
export function encodeHints(sender: string, hints: Iterable<Hint>, limit: number): string[] {
  const head = `{"sender":${JSON.stringify(sender)},"hints":[`;
  const tail = ']}';
  const room = limit - Buffer.byteLength(head) - tail.length;
  const payloads: string[] = [];
  let packed: string[] = [];
  let bytes = 0;
  const finish = () => {
    if (packed.length > 0) payloads.push(head + packed.join(',') + tail);
    packed = [];
    bytes = 0;
  };
  for (const hint of hints) {
    for (const piece of pieces(hint, room)) {
      const size = Buffer.byteLength(piece) + 1;
      if (bytes + size > room + 1) finish();
      packed.push(piece);
      bytes += size;
    }
  }
  finish();
  return payloads;
}

/** The hints of a payload. Ignores the receiver's own payloads and anything malformed or unknown. */
export function decodeHints(receiver: string, payload: string): Hint[] {
  const { success, data } = payloadSchema.safeParse(parseJson(payload));
  if (!success || data.sender === receiver) return [];
  return data.hints.flatMap((hint) => hintSchema.safeParse(hint).data ?? []);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function* pieces(hint: Hint, room: number): Generator<string> {
  const whole = JSON.stringify(hint);
  if (Buffer.byteLength(whole) <= room) {
    yield whole;
    return;
  }
  if (hint.kind !== 'text') return;
  const { text, offset } = hint;
  const bare = Buffer.byteLength(JSON.stringify({ ...hint, offset: offset + text.length, text: '' }));
  if (room - bare < MIN_TEXT_BYTES) return;
  for (let start = 0; start < text.length;) {
    let end = Math.min(text.length, start + room - bare);
    for (;;) {
      if (splitsPair(text, end)) end -= 1;
      const piece = JSON.stringify({ ...hint, offset: offset + start, text: text.slice(start, end) });
      if (Buffer.byteLength(piece) <= room) {
        yield piece;
        break;
      }
      end = start + Math.floor(((end - start) * 7) / 8);
    }
    start = end;
  }
}

/** Room for any two code units, so that each cut advances. */
const MIN_TEXT_BYTES = 16;

function splitsPair(text: string, index: number): boolean {
  return isWithin(text.charCodeAt(index - 1), 0xd800, 0xdbff) && isWithin(text.charCodeAt(index), 0xdc00, 0xdfff);
}

function isWithin(unit: number, low: number, high: number): boolean {
  return unit >= low && unit <= high;
}
