import type { Event } from './events.ts';

export interface FoldedFragment {
  id: string;
  kind: string;
  text: string;
  done: boolean;
}

export interface FoldedMessage {
  id: string;
  status: string;
  fragments: FoldedFragment[];
}

/**
 * The messages that events tell of, in their order, made from fragment events alone. Throws where a follower could not go
 * on: text for a fragment that has not begun or is complete, a gap, half a surrogate pair, a fragment out of order.
 */
export function fold(events: readonly Event[]): Map<string, FoldedMessage> {
  const messages = new Map<string, FoldedMessage>();
  for (const event of events) {
    switch (event.__typename) {
      case 'MessageCreated':
        if (event.message.fragments.length === 0) {
          messages.set(event.message.id, { id: event.message.id, status: event.message.status, fragments: [] });
        }
        break;
      case 'MessageCompleted':
        messageOf(messages, event.message.id).status = event.message.status;
        break;
      case 'FragmentStarted': {
        const { fragments } = messageOf(messages, event.message.id);
        const { id, index, __typename: kind } = event.fragment;
        if (index !== fragments.length) throw new Error(`Fragment ${index} began after ${fragments.length} others.`);
        fragments.push({ id, kind, text: '', done: false });
        break;
      }
      case 'FragmentDelta': {
        const fragment = openFragment(messages, event.messageId, event.fragmentId);
        fragment.text = spliced(fragment.text, event.offset, event.text);
        break;
      }
      case 'FragmentCompleted': {
        const fragment = openFragment(messages, event.messageId, event.fragment.id);
        if ((event.fragment.text ?? '') !== fragment.text) throw new Error('A fragment was completed with other text.');
        fragment.done = true;
        break;
      }
      case 'ConversationCreated':
      case 'StateChanged':
        break;
    }
  }
  return messages;
}

/** The text of a reply as its fragment events tell it. */
export function textOf(events: readonly Event[], replyId: string): string {
  const fragments = fold(events).get(replyId)?.fragments ?? [];
  return fragments.map(({ text }) => text).join('');
}

/** Adds text to a prefix, as `FragmentDelta` says. */
export function spliced(text: string, offset: number, added: string): string {
  if (offset > text.length) throw new Error(`A delta at ${offset} leaves a gap after ${text.length}.`);
  const result = text.slice(0, offset) + added;
  if (!text.slice(0, offset).isWellFormed() || !added.isWellFormed()) throw new Error('A delta cuts a surrogate pair.');
  return result;
}

function messageOf(messages: Map<string, FoldedMessage>, id: string): FoldedMessage {
  const message = messages.get(id);
  if (!message) throw new Error(`Nothing was said of the beginning of ${id}.`);
  return message;
}

function openFragment(messages: Map<string, FoldedMessage>, messageId: string, id: string): FoldedFragment {
  const last = messageOf(messages, messageId).fragments.at(-1);
  if (last?.id !== id || last.done) throw new Error(`${id} is not the fragment that is open.`);
  return last;
}
