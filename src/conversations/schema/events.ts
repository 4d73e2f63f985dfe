import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
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
import type { MessageRow } from '../log/rows.ts';
import { ConversationRef } from './conversation.ts';
import { FragmentRef, TextFragmentRef } from './fragment.ts';
import type { DeliveredEvent } from './event-rows.ts';
import { HandoffRef } from './handoff.ts';
import { ActorRef } from './actor.ts';
import { asBegun, authorOf, MessageRef } from './message.ts';
import { ConversationStateRef, stateOf } from './state.ts';

export type LoggedEvent = EventOf<'log'>;
type EventOf<K extends DeliveredEvent['kind']> = Extract<DeliveredEvent, { kind: K }>;

export const ConversationEventRef = builder.interfaceRef<DeliveredEvent>('ConversationEvent').implement({
  description:
    'Something that happened in a conversation. Objects read through an event are as of the event or newer. Select ' +
    '`__typename` and ignore types you do not know: more kinds may come.',
  resolveType: (event) => (event.kind === 'log' ? event.event.type : fragmentEventNames[event.kind]),
  fields: (t) => ({
    cursor: t.field({
      type: 'EventCursor',
      description: 'Pass it as `after` to resume after this event.',
      resolve: ({ cursor }) => cursor,
    }),
    conversationId: t.id({
      description: 'ID of the conversation.',
      resolve: ({ conversationId }) => encodeId('Conversation', conversationId),
    }),
    occurredAt: t.field({
      type: 'DateTime',
      description: 'When the event was committed. For a fragment event: when this server sent it.',
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
    'A committed change. Each has its own version. A client token may see gaps: events that are hidden from it.',
  interfaces: [ConversationEventRef],
  resolveType: ({ event }) => event.type,
  fields: (t) => ({
    version: t.int({ description: 'The version that this event made.', resolve: ({ event }) => event.version }),
    conversation: t.field({
      type: ConversationRef,
      description: 'As it is now.',
      resolve: ({ conversation, conversationId: id }, _args, context, info) =>
        conversation ??
        context.services.prisma.conversation
          .findUnique({ ...queryFromInfo({ context, info }), where: { id } })
          .then(present),
    }),
    actor: t.field({
      type: ActorRef,
      ...operatorsOnly('Who caused the event.'),
      resolve: ({ event }) => authorOf(event.actor),
    }),
  }),
});

const byVersion = new Keyset({ version: 'integer' });

builder.objectField(ConversationRef, 'events', (t) =>
  t.connection(
    {
      type: VersionedEventRef,
      ...operatorsOnly(
        'The event log: who did what, oldest first. Without fragment events. `after` and `before` take pagination cursors.',
      ),
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
    { name: 'VersionedEventEdge', description: 'An entry of a page.' },
  ),
);

/** An event of the log with its cursor. */
export function inPlace(
  { logEpoch }: Pick<ConversationServices, 'logEpoch'>,
  conversationId: string,
  event: LogEventInPlace,
): LoggedEvent {
  const { version, runningReplyVersion } = event;
  const cursor = cursorAt(logEpoch.current, conversationId, version, runningReplyVersion);
  return { kind: 'log', conversationId, event, cursor };
}

/** An event of the log that has no fields of its own. */
function loggedEvent(type: LogEvent['type'], description: string) {
  const ref = builder.objectRef<LoggedEvent>(type);
  ref.implement({ description, interfaces: [VersionedEventRef, ConversationEventRef] });
  return ref;
}

loggedEvent('ConversationCreated', 'The conversation was created. Always version 1.');

builder.objectField(loggedEvent('MessageCreated', createdDescription()), 'message', (t) =>
  t.field({
    type: MessageRef,
    description:
      'The message. A reply is shown as it began, in progress and without fragments, even if it has ended since.',
    resolve: (delivered, _args, context, info) => {
      const message = messageOf(delivered, context, info);
      if (!delivered.event.beginsReply) return message;
      return message instanceof Promise ? message.then(asBegun) : asBegun(message);
    },
  }),
);

/** An event of a stream comes with its message; for a row of the log it is read now, and only then planned how. */
function messageOf(
  { message, event }: LoggedEvent,
  context: GraphQLContext,
  info: GraphQLResolveInfo,
): MessageRow | Promise<MessageRow> {
  if (message) return message;
  const where = { id: event.messageId ?? '' };
  return context.services.prisma.message.findUnique({ ...queryFromInfo({ context, info }), where }).then(present);
}

function createdDescription(): string {
  return 'A message was added. Insert it by `position`. A reply that replaces another names it in `supersedes`.';
}

builder.objectField(
  loggedEvent(
    'MessageCompleted',
    'A reply ended as `DONE`, `STOPPED` or `ERROR`. Carries the whole message: its text replaces what you have put together.',
  ),
  'message',
  (t) =>
    t.field({
      type: MessageRef,
      description: 'The message in its final form.',
      resolve: (delivered, _args, context, info) => messageOf(delivered, context, info),
    }),
);

builder.objectFields(
  loggedEvent('StateChanged', 'The state of the conversation changed. Never sent to a client token.'),
  (t) => ({
    before: t.field({
      type: ConversationStateRef,
      description: 'The state before the change.',
      resolve: ({ event }) => stateIn(event.data, 'before'),
    }),
    after: t.field({
      type: ConversationStateRef,
      description: 'The state after the change.',
      resolve: ({ event }) => stateIn(event.data, 'after'),
    }),
  }),
);

function stateIn(data: Json, key: 'before' | 'after') {
  const state = isJsonObject(data) ? data[key] : null;
  return stateOf(isJsonObject(state) ? state : {});
}

const handoffEvents = {
  HandoffStarted: 'A human was asked for.',
  HandoffAccepted: 'A human took over.',
  HandoffEnded: 'The handoff ended.',
} as const;
for (const type of ['HandoffStarted', 'HandoffAccepted', 'HandoffEnded'] as const) {
  builder.objectField(loggedEvent(type, handoffEvents[type]), 'handoff', (t) =>
    t.field({
      type: HandoffRef,
      description: 'As it is now.',
      resolve: ({ handoff, event }, _args, context, info) =>
        handoff ??
        context.services.prisma.handoff
          .findUnique({ ...queryFromInfo({ context, info }), where: { id: event.handoffId ?? '' } })
          .then(present),
    }),
  );
}

builder.objectField(loggedEvent('FeedbackGiven', 'A reply was rated, or its rating was taken back.'), 'message', (t) =>
  t.field({
    type: MessageRef,
    description: 'The reply. `feedback` is as it is now.',
    resolve: (delivered, _args, context, info) => messageOf(delivered, context, info),
  }),
);

builder.objectField(
  loggedEvent(
    'MessageErased',
    'The content of a message was erased, because somebody whom it is of was erased. Replace what you have of it, also in caches.',
  ),
  'message',
  (t) =>
    t.field({
      type: MessageRef,
      description: 'What is left: its place, without texts.',
      resolve: (delivered, _args, context, info) => messageOf(delivered, context, info),
    }),
);

loggedEvent('ConversationUpdated', 'Title, metadata, search metadata or runtime parameters changed.');
loggedEvent('ConversationEnded', 'The conversation was ended. No more messages are accepted.');

builder.objectRef<LoggedEvent>('ConversationDeleted').implement({
  description:
    'The conversation was deleted. This is the last event, and the stream completes. Resuming later gives this event again.',
  interfaces: [ConversationEventRef],
});

builder.objectRef<EventOf<'fragment-started'>>('FragmentStarted').implement({
  description: 'A fragment was added to a message. Insert it by `index`.',
  interfaces: [ConversationEventRef],
  fields: (t) => ({
    message: t.prismaField({
      type: MessageRef,
      description: 'The message that the fragment belongs to.',
      resolve: (query, { message, fragment }, _args, { services }) =>
        message ?? services.prisma.message.findUnique({ ...query, where: { id: fragment.messageId } }).then(present),
    }),
    fragment: t.field({
      type: FragmentRef,
      description: 'The fragment as it began, without content.',
      resolve: ({ fragment }) => fragment,
    }),
  }),
});

builder.objectRef<EventOf<'fragment-delta'>>('FragmentDelta').implement({
  description:
    "The text of a fragment changed. It is now the first `offset` units of its previous text, followed by this event's `text`.",
  interfaces: [ConversationEventRef],
  fields: (t) => ({
    messageId: t.id({
      description: 'ID of the message.',
      resolve: ({ fragment }) => encodeId('Message', fragment.messageId),
    }),
    fragmentId: t.id({
      description: 'ID of the fragment.',
      resolve: ({ fragment }) => encodeFragmentId(fragment.messageId, fragment.index),
    }),
    offset: t.exposeInt('offset', {
      description: 'Where `text` begins, in UTF-16 code units as in JavaScript. Never inside a surrogate pair.',
    }),
    text: t.exposeString('text', { description: 'The text from `offset` on.' }),
    fragment: t.field({
      type: TextFragmentRef,
      description:
        'The whole fragment, for clients that only update a cache, and for GraphiQL. It sends all text each time: prefer `offset` and ' +
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
  description: 'A fragment is complete. Replace yours by this one.',
  interfaces: [ConversationEventRef],
  fields: (t) => ({
    messageId: t.id({
      description: 'ID of the message.',
      resolve: ({ fragment }) => encodeId('Message', fragment.messageId),
    }),
    fragment: t.field({
      type: FragmentRef,
      description: 'The complete fragment.',
      resolve: ({ fragment }) => fragment,
    }),
  }),
});
