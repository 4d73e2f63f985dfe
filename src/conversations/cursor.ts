/**
 * A place in a conversation's stream: the last log version delivered and, while a reply is open at that version, how far
 * into its text. `place` 0 means that the fragment's start was not delivered; 1 + n that n UTF-16 units of its text were.
 */
export interface Position {
  version: number;
  open: {
    /** The version of the reply's MessageCreated, which names the reply. */
    version: number;
    fragment: number;
    place: number;
  } | null;
}

/** The opaque form. It carries a mark of its conversation, so that a cursor of another one is refused. */
export function encodeCursor(conversationId: string, { version, open }: Position): string {
  const numbers = open ? [version, open.version, open.fragment, open.place] : [version];
  return Buffer.from(`${markOf(conversationId)}.${numbers.join('.')}`).toString('base64url');
}

/** Null when it is malformed or belongs to another conversation. */
export function decodeCursor(conversationId: string, cursor: string): Position | null {
  const [mark, ...fields] = Buffer.from(cursor, 'base64url').toString('latin1').split('.');
  const numbers = fields.map((field) => (/^\d{1,10}$/.test(field) ? Number(field) : NaN));
  if (mark !== markOf(conversationId) || numbers.some((n) => !(n <= 2 ** 31 - 1))) return null;
  const [version, openVersion, fragment, place] = numbers;
  if (version === undefined) return null;
  if (numbers.length === 1) return { version, open: null };
  if (numbers.length !== 4 || openVersion === undefined || fragment === undefined || place === undefined) return null;
  return openVersion <= version ? { version, open: { version: openVersion, fragment, place } } : null;
}

function markOf(conversationId: string): string {
  return conversationId.slice(-8);
}
