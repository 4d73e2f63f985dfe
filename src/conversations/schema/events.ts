import { builder } from '../../graphql/builder.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import type { GraphQLContext } from '../../graphql/context.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { present } from '../../graphql/present.ts';
import { encodeFragmentId, encodeId } from '../../ids.ts';
import { isJsonObject, type Json } from '../../json.ts';
import type { ConversationServices } from '../services.ts';
import { cursorAt } from '../stream/cursor.ts';
import { type LogEvent, type LogEventInPlace, readLogPage } from '../log/read.ts';
import { ConversationRef } from './conversation.ts';
import { FragmentRef, TextFragmentRef } from './fragment.ts';
import type { DeliveredEvent } from './event-rows.ts';
import { HandoffRef } from './handoff.ts';
import { ActorRef } from './actor.ts';
import { asBegun, authorOf, MessageRef } from './message.ts';
import { ConversationStateRef, stateOf } from './state.ts';

type LoggedEvent = EventOf<'log'>;
type EventOf<K extends DeliveredEvent['kind']> = Extract<DeliveredEvent, { kind: K }>;

export const ConversationEventRef = builder.interfaceRef<DeliveredEvent>('ConversationEvent').implement({
  description:
    'Something that happened. Objects reached from an event are never older than the event, and may be newer. Select ' +
    '`__typename`, write a default branch: more kinds may come.',
  resolveType: (event) => (event.kind === 'log' ? event.event.type : fragmentEventNames[event.kind]),
  fields: (t) => ({
    cursor: t.field({
      type: 'EventCursor',
      description: 'Resume after this event with it.',
      resolve: ({ cursor }) => cursor,
    }),
    conversationId: t.id({
      description: 'Where it happened.',
      resolve: ({ conversationId }) => encodeId('Conversation', conversationId),
    }),
    occurredAt: t.field({
      type: 'DateTime',
      description: 'When it was committed; for a fragment, when this server told of it.',
      resolve: (event) => (event.kind === 'log' ? event.event.occurredAt : event.occurredAt),
    }),
  }),
});

const fragmentEventNames = {
  'fragment-started': 'FragmentStarted',
  'fragment-delta': 'FragmentDelta',
  'fragment-completed': 'FragmentCompleted',
} as const;

export const VersionedEventRef = builder.interfaceRef<LoggedEvent>('VersionedEvent');
VersionedEventRef.implement({
  description:
    'A committed change, with the version it made: one version, one event. A client token may see numbers skipped.',
  interfaces: [ConversationEventRef],
  resolveType: ({ event }) => event.type,
  fields: (t) => ({
    version: t.int({ description: 'That it made.', resolve: ({ event }) => event.version }),
    conversation: t.prismaField({
      type: ConversationRef,
      description: 'As it is now.',
      resolve: (query, { conversation, conversationId }, _args, { services }) =>
        conversation ??
        services.prisma.conversation.findUnique({ ...query, where: { id: conversationId } }).then(present),
    }),
    actor: t.field({
      type: ActorRef,
      ...operatorsOnly('Who did it.'),
      resolve: ({ event }) => authorOf(event.actor),
    }),
  }),
});

const byVersion = new Keyset({ version: 'integer' });

builder.objectField(ConversationRef, 'events', (t) =>
  t.connection(
    {
      type: VersionedEventRef,
      ...operatorsOnly('The log: who did what. Without fragment events. `after` and `before` take pagination cursors.'),
      resolve: ({ id }, args, { services }) =>
        keysetPage(
          args,
          byVersion,
          ({ event }: LoggedEvent) => event,
          async ({ after, before, ...page }) => {
            const range = { after: after?.version ?? 0, before: before?.version ?? 2 ** 31 - 1 };
            const events = await readLogPage(services.pool, id, { ...page, ...range });
            return events.map((event) => inPlace(services, id, event));
          },
        ),
    },
    { name: 'VersionedEventConnection', description: 'A page of logged events.' },
    { name: 'VersionedEventEdge', description: 'One of a page.' },
  ),
);

function inPlace(
  { logEpoch }: Pick<ConversationServices, 'logEpoch'>,
  conversationId: string,
  event: LogEventInPlace,
): LoggedEvent {
  const { version, runningReplyVersion } = event;
  const cursor = cursorAt(logEpoch.current, conversationId, version, runningReplyVersion);
  return { kind: 'log', conversationId, event, cursor };
}

/** An event of the log that says no more than that it happened. */
function loggedEvent(type: LogEvent['type'], description: string) {
  const ref = builder.objectRef<LoggedEvent>(type);
  ref.implement({ description, interfaces: [VersionedEventRef, ConversationEventRef] });
  return ref;
}

loggedEvent('ConversationCreated', 'The conversation began: always version 1.');

builder.objectField(loggedEvent('MessageCreated', createdDescription()), 'message', (t) =>
  t.prismaField({
    type: MessageRef,
    description:
      'A reply that will be generated is shown in progress and without fragments, however long ago it began.',
    resolve: async (query, delivered, _args, context) => {
      const message = await messageOf(query, delivered, context);
      return delivered.event.beginsReply ? asBegun(message) : message;
    },
  }),
);

/** Read with the event where it was streamed, and now where it is a row of the log. */
function messageOf(query: object, { message, event }: LoggedEvent, { services }: GraphQLContext) {
  return (
    message ?? services.prisma.message.findUnique({ ...query, where: { id: event.messageId ?? '' } }).then(present)
  );
}

function createdDescription(): string {
  return 'A message exists: insert it by `position`. A reply that replaces another names it in `supersedes`.';
}

builder.objectField(
  loggedEvent(
    'MessageCompleted',
    'A reply reached `DONE`, `STOPPED` or `ERROR`. Carries the whole message: its text settles any doubt.',
  ),
  'message',
  (t) =>
    t.prismaField({
      type: MessageRef,
      description: 'As it will stay.',
      resolve: (query, delivered, _args, context) => messageOf(query, delivered, context),
    }),
);

builder.objectFields(
  loggedEvent('StateChanged', 'What steers the agent has changed. Never sent to a client token.'),
  (t) => ({
    before: t.field({
      type: ConversationStateRef,
      description: 'Until then.',
      resolve: ({ event }) => stateIn(event.data, 'before'),
    }),
    after: t.field({
      type: ConversationStateRef,
      description: 'From then on.',
      resolve: ({ event }) => stateIn(event.data, 'after'),
    }),
  }),
);

function stateIn(data: Json, key: 'before' | 'after') {
  const state = isJsonObject(data) ? data[key] : null;
  return stateOf(isJsonObject(state) ? state : {});
}

const handoffEvents = {
  HandoffStarted: 'A human is asked for.',
  HandoffAccepted: 'A human has come.',
  HandoffEnded: 'The agent has it again.',
} as const;
for (const type of ['HandoffStarted', 'HandoffAccepted', 'HandoffEnded'] as const) {
  builder.objectField(loggedEvent(type, handoffEvents[type]), 'handoff', (t) =>
    t.prismaField({
      type: HandoffRef,
      description: 'As it is now.',
      resolve: (query, { handoff, event }, _args, { services }) =>
        handoff ?? services.prisma.handoff.findUnique({ ...query, where: { id: event.handoffId ?? '' } }).then(present),
    }),
  );
}

loggedEvent('ConversationUpdated', 'Title, metadata or runtime parameters changed.');
loggedEvent('ConversationEnded', 'Nothing more is accepted.');

builder.objectRef<LoggedEvent>('ConversationDeleted').implement({
  description: 'The last event; the stream completes. Whoever resumes later gets it too.',
  interfaces: [ConversationEventRef],
});

builder.objectRef<EventOf<'fragment-started'>>('FragmentStarted').implement({
  description: '`fragments` of the message now include it. Put it at its `index`.',
  interfaces: [ConversationEventRef],
  fields: (t) => ({
    message: t.prismaField({
      type: MessageRef,
      description: 'The message that it is a part of.',
      resolve: (query, { message, fragment }, _args, { services }) =>
        message ?? services.prisma.message.findUnique({ ...query, where: { id: fragment.messageId } }).then(present),
    }),
    fragment: t.field({
      type: FragmentRef,
      description: 'As it began, without content.',
      resolve: ({ fragment }) => fragment,
    }),
  }),
});

builder.objectRef<EventOf<'fragment-delta'>>('FragmentDelta').implement({
  description: "The fragment's text is now `text[0..offset] + delta.text`, whatever stood after `offset` before.",
  interfaces: [ConversationEventRef],
  fields: (t) => ({
    messageId: t.id({
      description: 'The message.',
      resolve: ({ fragment }) => encodeId('Message', fragment.messageId),
    }),
    fragmentId: t.id({
      description: 'The fragment.',
      resolve: ({ fragment }) => encodeFragmentId(fragment.messageId, fragment.index),
    }),
    offset: t.exposeInt('offset', {
      description: 'In UTF-16 code units, as in JavaScript; never inside a surrogate pair.',
    }),
    text: t.exposeString('text', { description: 'To put there.' }),
    fragment: t.field({
      type: TextFragmentRef,
      description:
        'The whole fragment, for caches without code and for GraphiQL. Sends the text again each time: prefer `offset` and ' +
        '`text`.',
      resolve: ({ fragment, offset, text }) => ({
        ...fragment,
        status: 'IN_PROGRESS' as const,
        text: fragment.text.slice(0, offset + text.length),
      }),
    }),
  }),
});

builder.objectRef<EventOf<'fragment-completed'>>('FragmentCompleted').implement({
  description: 'A fragment is complete. Replace it by this one.',
  interfaces: [ConversationEventRef],
  fields: (t) => ({
    messageId: t.id({
      description: 'The message.',
      resolve: ({ fragment }) => encodeId('Message', fragment.messageId),
    }),
    fragment: t.field({ type: FragmentRef, description: 'With its content.', resolve: ({ fragment }) => fragment }),
  }),
});
