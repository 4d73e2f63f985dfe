import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Queryable } from '../db.ts';

/** Bytes of a conversation's id and of what signs it. In base 32 together they are 39 characters. */
const [ID_BYTES, MAC_BYTES] = [16, 8];

// Local parts of addresses are compared without regard to case by most servers.
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** The address, below that of the inbox, by which answers find a conversation: `help+<token>@shop.example`. */
export function replyAddress(inbox: { address: string; secret: string }, conversationId: string): string {
  const id = Buffer.from(conversationId.replaceAll('-', ''), 'hex');
  const token = toBase32(Buffer.concat([id, sign(inbox.secret, id)]));
  const at = inbox.address.lastIndexOf('@');
  return `${inbox.address.slice(0, at)}+${token}${inbox.address.slice(at)}`;
}

/** The conversation that an address of the inbox names, by its row id. Null if it names none, or was not signed by the inbox. */
export function readReplyAddress(inbox: { address: string; secret: string }, address: string): string | null {
  const own = inbox.address.toLowerCase();
  const at = own.lastIndexOf('@');
  const [start, end, given] = [`${own.slice(0, at)}+`, own.slice(at), address.toLowerCase()];
  if (!given.startsWith(start) || !given.endsWith(end)) return null;
  const bytes = fromBase32(given.slice(start.length, given.length - end.length));
  if (bytes?.length !== ID_BYTES + MAC_BYTES) return null;
  const [id, mac] = [bytes.subarray(0, ID_BYTES), bytes.subarray(ID_BYTES)];
  if (!timingSafeEqual(mac, sign(inbox.secret, id))) return null;
  return id.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** What signs the reply addresses of an inbox. Made the first time that it is asked for. */
export async function signingSecret(db: Queryable, inboxId: string): Promise<string> {
  const { rows } = await db.query<{ secret: string }>({
    name: 'sign-reply-addresses',
    text: `WITH made AS (UPDATE inbox SET secret = $2 WHERE id = $1 AND secret IS NULL RETURNING secret)
      SELECT coalesce((SELECT secret FROM made), secret) AS secret FROM inbox WHERE id = $1`,
    values: [inboxId, `reply_${randomBytes(32).toString('base64url')}`],
  });
  // Null if another server made it after this statement had begun.
  return rows[0]?.secret ?? signingSecret(db, inboxId);
}

function sign(secret: string, id: Buffer): Buffer {
  return createHmac('sha256', secret).update('reply-address').update(id).digest().subarray(0, MAC_BYTES);
}

function toBase32(bytes: Buffer): string {
  let [text, value, bits] = ['', 0, 0];
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet.charAt((value >>> (bits - 5)) & 31);
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + alphabet.charAt((value << (5 - bits)) & 31) : text;
}

function fromBase32(text: string): Buffer | null {
  if (text.length !== Math.ceil(((ID_BYTES + MAC_BYTES) * 8) / 5)) return null;
  const bytes: number[] = [];
  let [value, bits] = [0, 0];
  for (const character of text) {
    const digit = alphabet.indexOf(character);
    if (digit < 0) return null;
    value = (value << 5) | digit;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push(value >>> bits);
    value &= (1 << bits) - 1;
  }
  return Buffer.from(bytes);
}
