/** How far into the text of a fragment a reader is. */
export interface FragmentPlace {
  fragment: number;
  /** Whether its start was delivered. */
  started: boolean;
  /** How much of its text was, in UTF-16 code units. */
  units: number;
}

/** A place in a conversation's stream: the last log version delivered and, while a reply runs at that version, how far into it. */
export interface StreamPosition {
  /** The epoch of the log that the version was seen in; none in cursors from before there were epochs. */
  epoch?: number | undefined;
  version: number;
  /** `version` is that of the reply's MessageCreated, which names the reply. */
  running: ({ version: number } & FragmentPlace) | null;
}

/**
 * The opaque form. It carries a mark of its conversation, so that a cursor of another one is refused. The epoch stands after a
 * `=`, which ends Base64: servers of the release before read no further, and take the cursor for one of theirs.
 */
export function encodeCursor(conversationId: string, { epoch, version, running }: StreamPosition): string {
  const numbers = running ? [version, running.version, running.fragment, encodePlace(running)] : [version];
  const place = Buffer.from([markOf(conversationId), ...numbers].join('.')).toString('base64url');
  return epoch === undefined ? place : `${place}=${epoch}`;
}

/** The cursor just after a version; of a reply that runs there, nothing was delivered yet. */
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

/** Null when it is malformed or belongs to another conversation. */
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

/** 0: the start was not delivered; 1 + n: n units of the text were. */
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
