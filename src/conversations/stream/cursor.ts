/** A reader's place in the text of a fragment. */
export interface FragmentPlace {
  fragment: number;
  /** Whether the fragment's start was delivered. */
  started: boolean;
  /** How much of its text was delivered, in UTF-16 code units. */
  units: number;
}

/** A place in a conversation's stream: the last version delivered and, if a reply is running at that version, the place in it. */
export interface StreamPosition {
  /** The epoch in which the version was seen. Missing in cursors made before epochs existed. */
  epoch?: number | undefined;
  version: number;
  /** `version` is that of the reply's MessageCreated event, which identifies the reply. */
  running: ({ version: number } & FragmentPlace) | null;
}

/**
 * Encodes a position in its opaque form. It carries a mark of its conversation, so that a cursor of another one is refused. The
 * epoch stands after a `=`, which ends Base64: servers of the last release read no further, and accept the cursor.
 */
export function encodeCursor(conversationId: string, { epoch, version, running }: StreamPosition): string {
  const numbers = running ? [version, running.version, running.fragment, encodePlace(running)] : [version];
  const place = Buffer.from([markOf(conversationId), ...numbers].join('.')).toString('base64url');
  return epoch === undefined ? place : `${place}=${epoch}`;
}

/** The cursor right after a version, with nothing delivered of a reply that is running there. */
export function cursorAt(
  epoch: number,
  conversationId: string,
  version: number,
  runningReplyVersion: number | null,
): string {
  const place = { fragment: 0, started: false, units: 0 };
  const running = runningReplyVersion === null ? null : { version: runningReplyVersion, ...place };
  return encodeCursor(conversationId, { epoch, version, running });
}

/** Decodes a cursor. Null if it is malformed or belongs to another conversation. */
export function decodeCursor(conversationId: string, cursor: string): StreamPosition | null {
  const [place = '', ...rest] = cursor.split('=');
  const [mark, ...fields] = Buffer.from(place, 'base64url').toString('latin1').split('.');
  if (mark !== markOf(conversationId) || rest.length > 1) return null;
  const epoch = rest.length === 1 ? numberIn(rest[0]) : undefined;
  const numbers = fields.map(numberIn);
  if ([epoch ?? 0, ...numbers].some((n) => !(n <= 2 ** 31 - 1))) return null;
  const [version, runningVersion, fragment, inFragment] = numbers;
  if (version === undefined) return null;
  if (numbers.length === 1) return { epoch, version, running: null };
  if (numbers.length !== 4 || runningVersion === undefined || fragment === undefined || inFragment === undefined)
    return null;
  if (runningVersion > version) return null;
  return { epoch, version, running: { version: runningVersion, fragment, ...decodePlace(inFragment) } };
}

/** 0: the start was not delivered. 1 + n: the start and n units of the text were. */
function encodePlace({ started, units }: FragmentPlace): number {
  return started ? 1 + units : 0;
}

function decodePlace(place: number): Pick<FragmentPlace, 'started' | 'units'> {
  return { started: place > 0, units: Math.max(0, place - 1) };
}

function numberIn(field: string | undefined): number {
  return field !== undefined && /^\d{1,10}$/.test(field) ? Number(field) : NaN;
}

function markOf(conversationId: string): string {
  return conversationId.slice(-8);
}
