/**
 * A place in a conversation's stream: the last log version delivered and, while a reply is open at that version, how far
 * into its text. `place` 0 means that the fragment's start was not delivered; 1 + n that n UTF-16 units of its text were.
 */
export interface StreamPosition {
  version: number;
  running: {
    /** The version of the reply's MessageCreated, which names the reply. */
    version: number;
    fragment: number;
    place: number;
  } | null;
}

/** The opaque form. It carries a mark of its conversation, so that a cursor of another one is refused. */
export function encodeCursor(conversationId: string, { version, running }: StreamPosition): string {
  const numbers = running ? [version, running.version, running.fragment, running.place] : [version];
  return Buffer.from(`${markOf(conversationId)}.${numbers.join('.')}`).toString('base64url');
}

/** The cursor just after a version; of a reply that runs there, nothing was delivered yet. */
export function cursorAt(conversationId: string, version: number, runningReplyVersion: number | null): string {
  const running = runningReplyVersion === null ? null : { version: runningReplyVersion, fragment: 0, place: 0 };
  return encodeCursor(conversationId, { version, running });
}

/** Null when it is malformed or belongs to another conversation. */
export function decodeCursor(conversationId: string, cursor: string): StreamPosition | null {
  const [mark, ...fields] = Buffer.from(cursor, 'base64url').toString('latin1').split('.');
  const numbers = fields.map((field) => (/^\d{1,10}$/.test(field) ? Number(field) : NaN));
  if (mark !== markOf(conversationId) || numbers.some((n) => !(n <= 2 ** 31 - 1))) return null;
  const [version, openVersion, fragment, place] = numbers;
  if (version === undefined) return null;
  if (numbers.length === 1) return { version, running: null };
  if (numbers.length !== 4 || openVersion === undefined || fragment === undefined || place === undefined) return null;
  return openVersion <= version ? { version, running: { version: openVersion, fragment, place } } : null;
}

function markOf(conversationId: string): string {
  return conversationId.slice(-8);
}
