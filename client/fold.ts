import type { ConversationEvent, ConversationStatus, Fragment, Message, MessageHead } from './events.ts';

/** A conversation as known from its events so far. Immutable: applying an event returns a new view that shares unchanged parts. */
export interface ConversationView {
  /** Cursor of the last event, to resume after it. Null before the first event. */
  readonly cursor: string | null;
  /** Version of the last event: give it as `expectedVersion`. Null if no event has had one. */
  readonly version: number | null;
  /** Null if no event has said. */
  readonly status: ConversationStatus | null;
  readonly title: string | null;
  /** Ordered by `position`, including replies that later ones replaced. */
  readonly messages: readonly Message[];
  readonly deleted: boolean;
}

/** The view before the first event. To begin with a page or a payload, set its `cursor` and add its messages. */
export const emptyView: ConversationView = {
  cursor: null,
  version: null,
  status: null,
  title: null,
  messages: [],
  deleted: false,
};

/**
 * Applies an event to a view. Every event is an upsert: events may be repeated from any earlier one on, and the view ends
 * up the same. Complete messages and fragments change only when they are erased. An event of an unknown kind only moves the cursor.
 */
export function applyEvent(view: ConversationView, event: ConversationEvent): ConversationView {
  const told = { ...view, ...('version' in event && versioned(view, event)), cursor: event.cursor };
  switch (event.__typename) {
    case 'MessageCreated':
    case 'MessageCompleted':
      return addMessages(told, [event.message]);
    case 'MessageErased':
      // One that was never loaded stays so.
      return told.messages.some(({ id }) => id === event.message.id) ? addMessages(told, [event.message]) : told;
    case 'FragmentStarted':
      return addMessages(told, [asBegun(event.message, event.fragment)]);
    case 'FragmentDelta':
      return withFragments(told, event.messageId, (fragments) =>
        fragments.map((fragment) => (fragment.id === event.fragmentId ? spliced(fragment, event) : fragment)),
      );
    case 'FragmentCompleted':
      return withFragments(told, event.messageId, (fragments) => put(fragments, event.fragment));
    case 'ConversationDeleted':
      return { ...told, messages: [], deleted: true };
    default:
      return told;
  }
}

/** Adds messages from elsewhere, for example from an earlier page. Messages that are there already are updated. */
export function addMessages(view: ConversationView, messages: readonly Message[]): ConversationView {
  return { ...view, messages: messages.reduce(upserted, view.messages) };
}

/** The messages to show: all except replies that later ones replaced. */
export function latestMessages({ messages }: ConversationView): Message[] {
  const replaced = new Set(messages.map(({ supersedes }) => supersedes?.id));
  return messages.filter(({ id }) => !replaced.has(id));
}

/** The text of a message's text fragments, joined. */
export function textOf({ fragments }: Message): string {
  return fragments.map((fragment) => (fragment.__typename === 'TextFragment' ? fragment.text : '')).join('');
}

type VersionedEvent = Extract<ConversationEvent, { version: number }>;

function versioned(view: ConversationView, { version, conversation }: VersionedEvent) {
  // A repeated event may carry an older state.
  if (view.version !== null && version < view.version) return {};
  return { version, status: conversation.status, title: conversation.title };
}

/** A reply as it was at the start of a fragment. The message itself may have ended since. */
function asBegun(message: MessageHead, fragment: Fragment): Message {
  return { ...message, status: 'IN_PROGRESS', errorDetail: null, completedAt: null, fragments: [fragment] };
}

function upserted(messages: readonly Message[], message: Message): readonly Message[] {
  const known = messages.find(({ id }) => id === message.id);
  if (known) return messages.map((other) => (other === known ? newer(known, message) : other));
  const next = messages.findIndex(({ position }) => position > message.position);
  return messages.toSpliced(next < 0 ? messages.length : next, 0, message);
}

function newer(known: Message, given: Message): Message {
  if (given.status !== 'IN_PROGRESS') return given;
  if (known.status !== 'IN_PROGRESS') return known;
  // The event that a reply began does not list the fragments that it may have by now.
  const fresh = given.fragments.filter((fragment) => isFurther(fragment, known.fragments));
  return { ...given, fragments: fresh.reduce(put, known.fragments) };
}

function isFurther(fragment: Fragment, others: readonly Fragment[]): boolean {
  const known = others.find(({ index }) => index === fragment.index);
  if (!known) return true;
  return known.status !== 'DONE' && (fragment.status === 'DONE' || lengthOf(fragment) > lengthOf(known));
}

function lengthOf(fragment: Fragment): number {
  return fragment.__typename === 'TextFragment' ? fragment.text.length : 0;
}

/** Replaces the fragment with the same index, or inserts it in order. */
function put(fragments: readonly Fragment[], fragment: Fragment): readonly Fragment[] {
  const others = fragments.filter(({ index }) => index !== fragment.index);
  return [...others, fragment].sort((a, b) => a.index - b.index);
}

function spliced(fragment: Fragment, { offset, text }: { offset: number; text: string }): Fragment {
  if (fragment.__typename !== 'TextFragment' || fragment.status === 'DONE') return fragment;
  return { ...fragment, text: fragment.text.slice(0, offset) + text };
}

/** Changes the fragments of a message in progress. */
function withFragments(
  view: ConversationView,
  messageId: string,
  change: (fragments: readonly Fragment[]) => readonly Fragment[],
): ConversationView {
  const messages = view.messages.map((message) =>
    message.id === messageId && message.status === 'IN_PROGRESS'
      ? { ...message, fragments: change(message.fragments) }
      : message,
  );
  return { ...view, messages };
}
