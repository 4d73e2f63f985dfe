import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { conversationEventsDocument, messageFields, replyEventsDocument } from '../client/documents.ts';
import type { ConversationEvent, Fragment, Message } from '../client/events.ts';
import { addMessages, applyEvent, type ConversationView, emptyView, latestMessages, textOf } from '../client/fold.ts';

const fold = (events: readonly ConversationEvent[], view = emptyView): ConversationView =>
  events.reduce(applyEvent, view);

describe('folding events', () => {
  it('puts a reply together from its fragments and their text', () => {
    const view = fold([
      created(1, reply('r1')),
      started('r1', text(0, '')),
      delta('r1', 0, 0, 'Hello'),
      delta('r1', 0, 5, ', world'),
      finished('r1', text(0, 'Hello, world', 'DONE')),
      completed(2, { ...reply('r1'), status: 'DONE', fragments: [text(0, 'Hello, world', 'DONE')] }),
    ]);
    expect(view.messages.map(textOf)).toEqual(['Hello, world']);
    expect(view).toMatchObject({ version: 2, status: 'ACTIVE', messages: [{ status: 'DONE' }], deleted: false });
  });

  it('shows the text of a reply that is still being written', () => {
    const view = fold([created(1, reply('r1')), started('r1', text(0, '')), delta('r1', 0, 0, 'Hel')]);
    expect(view.messages.map(textOf)).toEqual(['Hel']);
    expect(view.messages[0]?.fragments).toMatchObject([{ status: 'IN_PROGRESS' }]);
  });

  it('lets a delta replace whatever stood after its offset', () => {
    const begun = [created(1, reply('r1')), started('r1', text(0, '')), delta('r1', 0, 0, 'Hello, world')];
    expect(fold([...begun, delta('r1', 0, 5, '!')]).messages.map(textOf)).toEqual(['Hello!']);
    expect(fold([...begun, delta('r1', 0, 5, '')]).messages.map(textOf)).toEqual(['Hello']);
  });

  it('blanks a message that is erased, and adds none that was never loaded', () => {
    const said = { ...user('m1'), fragments: [text(0, 'Hello', 'DONE')] };
    const erased = (version: number, id: string): ConversationEvent => ({
      ...common(`v${version}`),
      __typename: 'MessageErased',
      version,
      conversation,
      message: { ...user(id), status: 'DONE', fragments: [text(0, '', 'DONE')] },
    });
    const view = fold([created(1, said), erased(2, 'm1'), erased(3, 'm0')]);
    expect(view.messages.map((message) => [message.id, textOf(message)])).toEqual([['m1', '']]);
    expect(view.version).toBe(3);
  });

  it('counts offsets in UTF-16 code units', () => {
    const view = fold([
      created(1, reply('r1')),
      started('r1', text(0, '')),
      delta('r1', 0, 0, '👍🏽'),
      delta('r1', 0, '👍🏽'.length, ' é'),
    ]);
    expect(view.messages.map(textOf)).toEqual(['👍🏽 é']);
  });

  it('orders messages by position and fragments by index, in whatever order they come', () => {
    const view = fold([
      created(3, { ...user('m3'), position: 7 }),
      created(1, { ...user('m1'), position: 0 }),
      created(2, { ...reply('m2'), position: 4 }),
      started('m2', text(1, ''), 4),
      started('m2', text(0, ''), 4),
    ]);
    expect(view.messages.map(({ id }) => id)).toEqual(['m1', 'm2', 'm3']);
    expect(view.messages[1]?.fragments.map(({ index }) => index)).toEqual([0, 1]);
  });

  it('leaves replies that later ones replace out of the messages to show, and keeps them', () => {
    const view = fold([
      created(1, user('m1')),
      created(2, { ...reply('r1'), status: 'DONE', position: 1 }),
      created(3, { ...reply('r2'), position: 2, supersedes: { id: 'r1' } }),
    ]);
    expect(latestMessages(view).map(({ id }) => id)).toEqual(['m1', 'r2']);
    expect(view.messages.map(({ id }) => id)).toEqual(['m1', 'r1', 'r2']);
  });

  it('lets events of unknown kinds move the cursor and the version, and nothing else', () => {
    const before = fold([created(1, user('m1'))]);
    const unknown = JSON.parse(
      '{ "__typename": "SomethingNew", "cursor": "new", "version": 2, "conversation": { "status": "HANDED_OFF", "title": null } }',
    ) as ConversationEvent;
    expect(applyEvent(before, unknown)).toEqual({ ...before, cursor: 'new', version: 2, status: 'HANDED_OFF' });
  });

  it('remembers the cursor of the last event', () => {
    const events = [created(1, reply('r1')), started('r1', text(0, '')), delta('r1', 0, 0, 'Hello')];
    expect(fold(events).cursor).toBe(events.at(-1)?.cursor);
  });

  it('empties a conversation that is deleted', () => {
    const view = fold([created(1, user('m1')), { __typename: 'ConversationDeleted', ...common('end') }]);
    expect(view).toMatchObject({ messages: [], deleted: true, cursor: 'end' });
  });

  it('knows a reply by the start of a fragment when it has not been told of the reply itself', () => {
    const view = fold([started('r1', text(0, '')), delta('r1', 0, 0, 'Hello')]);
    expect(view.messages).toMatchObject([{ id: 'r1', status: 'IN_PROGRESS' }]);
    expect(view.messages.map(textOf)).toEqual(['Hello']);
  });

  it('ignores text for what it does not know', () => {
    const view = fold([created(1, reply('r1')), delta('r1', 0, 0, 'Hello'), delta('r9', 0, 0, 'Hello')]);
    expect(view.messages).toMatchObject([{ id: 'r1', fragments: [] }]);
  });

  it('takes an earlier page of messages beside those it has', () => {
    const view = fold([created(5, { ...user('m5'), position: 5 })]);
    const older = [
      { ...user('m1'), position: 1 },
      { ...user('m3'), position: 3 },
    ];
    expect(addMessages(view, older).messages.map(({ id }) => id)).toEqual(['m1', 'm3', 'm5']);
  });
});

describe('folding the history of any conversation', () => {
  it('ends with exactly the stored text and fragments', () => {
    fc.assert(
      fc.property(history, ({ events, stored }) => {
        expect(fold(events).messages).toEqual(stored);
      }),
    );
  });

  it('comes to the same however often the stream is resumed further back, with its text in pieces of any size', () => {
    fc.assert(
      fc.property(
        history,
        fc.array(fc.tuple(fc.nat(), fc.nat())),
        fc.infiniteStream(fc.boolean()),
        (past, jumps, coins) => {
          let view = emptyView;
          let reached = 0;
          for (const [back, ahead] of [...jumps, [0, past.events.length] as const]) {
            const from = reached - (back % (reached + 1));
            const to = Math.min(past.events.length, reached + ahead);
            view = fold(merged(past.events.slice(from, to), coins), view);
            reached = Math.max(from, to);
          }
          expect(view).toEqual(fold(past.events));
        },
      ),
    );
  });

  it('changes nothing when its last event comes twice', () => {
    fc.assert(
      fc.property(history, fc.nat(), ({ events }, at) => {
        const view = fold(events.slice(0, at % (events.length + 1)));
        const last = events[(at % (events.length + 1)) - 1];
        expect(last ? applyEvent(view, last) : view).toEqual(view);
      }),
    );
  });

  it('is changed by no old event that comes again, once all is complete', () => {
    fc.assert(
      fc.property(history, fc.nat(), ({ events }, at) => {
        const view = fold(events);
        const old = events[at % events.length];
        expect(old && { ...applyEvent(view, old), cursor: view.cursor }).toEqual(view);
      }),
    );
  });

  it('goes on from a page that was read later than its cursor', () => {
    fc.assert(
      fc.property(history, fc.nat(), fc.nat(), ({ events, stored }, a, b) => {
        const [cursor, read] = [a % (events.length + 1), b % (events.length + 1)].sort((x, y) => x - y);
        const page = addMessages(emptyView, fold(events.slice(0, read)).messages);
        expect(fold(events.slice(cursor), page).messages).toEqual(stored);
      }),
    );
  });
});

describe('the documents', () => {
  const schema = buildSchema(readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'));

  it.each([
    ['conversationEventsDocument', conversationEventsDocument],
    ['replyEventsDocument', replyEventsDocument],
    ['messageFields', `query ($id: ID!) { message(id: $id) { ...MessageFields } } ${messageFields}`],
  ])('%s asks for what the schema has', (_name, document) => {
    expect(validate(schema, parse(document))).toEqual([]);
  });
});

function common(cursor: string) {
  return { cursor, conversationId: 'c1', occurredAt: '2026-01-31T12:00:00.000Z' };
}

const conversation = { status: 'ACTIVE', title: null } as const;

function created(version: number, message: Message): ConversationEvent {
  return { __typename: 'MessageCreated', ...common(`v${version}`), version, conversation, message };
}

function completed(version: number, message: Message): ConversationEvent {
  return { __typename: 'MessageCompleted', ...common(`v${version}`), version, conversation, message };
}

/** With the message as it is long after. */
function started(messageId: string, fragment: Fragment, position = 0): ConversationEvent {
  const message: Message = { ...reply(messageId), position, status: 'DONE', completedAt: '2026-02-01T12:00:00.000Z' };
  const cursor = `${messageId}.${fragment.index}.start`;
  return {
    __typename: 'FragmentStarted',
    ...common(cursor),
    message,
    fragment: { ...fragment, id: idOf(messageId, fragment) },
  };
}

function delta(messageId: string, index: number, offset: number, text: string): ConversationEvent & { text: string } {
  const fragmentId = idOf(messageId, { index });
  const cursor = `${messageId}.${index}.${offset + text.length}`;
  return { __typename: 'FragmentDelta', ...common(cursor), messageId, fragmentId, offset, text };
}

function finished(messageId: string, fragment: Fragment): ConversationEvent {
  const cursor = `${messageId}.${fragment.index}.end`;
  return {
    __typename: 'FragmentCompleted',
    ...common(cursor),
    messageId,
    fragment: { ...fragment, id: idOf(messageId, fragment) },
  };
}

function idOf(messageId: string, { index }: { index: number }): string {
  return `${messageId}_${index}`;
}

function text(index: number, text: string, status: Fragment['status'] = 'IN_PROGRESS'): Fragment {
  return { __typename: 'TextFragment', id: `_${index}`, index, status, metadata: {}, text };
}

function user(id: string): Message {
  return { ...reply(id), role: 'USER', status: 'DONE' };
}

/** One that has just begun. */
function reply(id: string): Message {
  return {
    id,
    position: 0,
    role: 'AGENT',
    status: 'IN_PROGRESS',
    author: { kind: 'AI_AGENT', displayName: 'Guide', avatarUrl: null },
    metadata: {},
    contentPayload: null,
    canvas: null,
    inReplyTo: null,
    supersedes: null,
    errorDetail: null,
    createdAt: '2026-01-31T12:00:00.000Z',
    completedAt: null,
    fragments: [],
  };
}

interface Turn {
  parts: ({ text: string } | { args: string })[];
  ending: 'DONE' | 'STOPPED' | 'ERROR';
  /** Seen by followers and then cut off. */
  lost: string;
}

const turn: fc.Arbitrary<Turn> = fc.record({
  parts: fc.array(
    fc.oneof(fc.record({ text: fc.string({ unit: 'binary', maxLength: 12 }) }), fc.record({ args: fc.string() })),
    { maxLength: 3 },
  ),
  ending: fc.constantFrom('DONE', 'STOPPED', 'ERROR'),
  lost: fc.constantFrom('', '', 'lost'),
});

/** A conversation's events, with its text in the smallest pieces, and its messages as they are stored in the end. */
const history = fc.array(turn, { minLength: 1, maxLength: 4 }).map((turns) => {
  const events: ConversationEvent[] = [];
  const stored: Message[] = [];
  let version = 1;
  for (const [n, { parts, ending, lost }] of turns.entries()) {
    const question = { ...user(`m${n}`), position: 2 * n };
    const begun = { ...reply(`r${n}`), position: 2 * n + 1, inReplyTo: { id: question.id } };
    events.push(created((version += 1), question), created((version += 1), begun));
    const fragments = parts.map((part, index): Fragment => {
      const cut = ending !== 'DONE' && index === parts.length - 1;
      const id = idOf(begun.id, { index });
      if ('args' in part) {
        const call = { __typename: 'FunctionCallFragment', id, index, metadata: {}, name: 'search' } as const;
        const done: Fragment = { ...call, status: 'DONE', args: { query: part.args } };
        events.push(
          started(begun.id, { ...call, status: 'IN_PROGRESS', args: null }, begun.position),
          finished(begun.id, done),
        );
        return done;
      }
      const whole: Fragment = { ...text(index, part.text, cut ? 'IN_PROGRESS' : 'DONE'), id };
      events.push(started(begun.id, text(index, ''), begun.position));
      let offset = 0;
      for (const character of part.text + (cut ? lost : '')) {
        events.push(delta(begun.id, index, offset, character));
        offset += character.length;
      }
      if (cut && lost) events.push(delta(begun.id, index, part.text.length, ''));
      if (!cut) events.push(finished(begun.id, whole));
      return whole;
    });
    const ended: Message = { ...begun, status: ending, completedAt: '2026-01-31T12:00:01.000Z', fragments };
    events.push(completed((version += 1), ended));
    stored.push(question, ended);
  }
  return { events, stored };
});

/** The same events with some neighbouring deltas made into one, as the coins fall. */
function merged(events: readonly ConversationEvent[], coins: fc.Stream<boolean>): ConversationEvent[] {
  const result: ConversationEvent[] = [];
  for (const event of events) {
    const last = result.at(-1);
    const follows =
      event.__typename === 'FragmentDelta' &&
      last?.__typename === 'FragmentDelta' &&
      event.fragmentId === last.fragmentId &&
      event.offset === last.offset + last.text.length;
    if (follows && coins.next().value === true)
      result[result.length - 1] = { ...last, cursor: event.cursor, text: last.text + event.text };
    else result.push(event);
  }
  return result;
}
