import { finders, theOne } from '../../access/finders.ts';
import { personOf } from '../../access/person.ts';
import { badUserInput, notFound } from '../../graphql/errors.ts';
import { builder } from '../../graphql/builder.ts';
import type { GraphQLContext } from '../../graphql/context.ts';
import { LiveSource } from '../../graphql/delivery/live-source.ts';
import { decodeId } from '../../ids.ts';
import type { Feed } from '../stream/feed.ts';
import { BadCursorError } from '../stream/event-order.ts';
import { conversationStream, type EventStream, replyStream } from '../stream/stream.ts';
import { ConversationEventRef } from './events.ts';

builder.subscriptionField('conversationEvents', (t) =>
  t.field({
    type: ConversationEventRef,
    authScopes: { read: true, participate: true },
    description:
      'The events of a conversation after the cursor, until it is deleted. Without `after`: from now on, preceded by the ' +
      'events of the running reply so far, merged. An unknown conversation is `NOT_FOUND`.',
    args: {
      conversationId: t.arg.id({ required: true, description: 'ID of the conversation, `conv_…`.' }),
      after: t.arg({ type: 'EventCursor', description: 'Start after this event: a cursor of this conversation.' }),
      fragments: t.arg.boolean({
        required: true,
        defaultValue: true,
        description: 'False leaves out `FragmentStarted`, `FragmentDelta` and `FragmentCompleted`.',
      }),
    },
    subscribe: async (_root, { conversationId, after, fragments }, context) => {
      const id = decodeId('Conversation', conversationId);
      if (!(await isVisible(context, id))) throw notFound('There is no such conversation.');
      return following(context, id, 'conversation', (feed) =>
        conversationStream(context.services, feed, { after: after ?? null, fragments }),
      );
    },
    resolve: (event) => event,
  }),
);

builder.subscriptionField('replyEvents', (t) =>
  t.field({
    type: ConversationEventRef,
    authScopes: { read: true, participate: true },
    description:
      'The events of one reply, from its beginning or the cursor to its `MessageCompleted`. Then the stream completes. Also for a ' +
      'reply that ended long ago.',
    args: {
      replyId: t.arg.id({ required: true, description: "ID of the reply's message, `msg_…`." }),
      after: t.arg({ type: 'EventCursor', description: 'Start after this event: a cursor of this conversation.' }),
    },
    subscribe: async (_root, { replyId, after }, context) => {
      const id = decodeId('Message', replyId);
      const reply = id && (await theOne(finders.Message(context, [id])));
      const conversationId = reply && reply.runtimeParameters !== null ? reply.conversationId : null;
      return following(context, conversationId, 'reply', (feed) =>
        replyStream(feed, { id: id ?? '', createdVersion: reply ? reply.createdVersion : 0 }, after ?? null),
      );
    },
    resolve: (event) => event,
  }),
);

/** Whether a client token may follow the conversation. For operators the log decides, which outlives the conversation. */
async function isVisible(context: GraphQLContext, id: string | null): Promise<boolean> {
  return !context.viewer.confinedTo || id === null || (await theOne(finders.Conversation(context, [id]))) !== null;
}

/** Opens the feed for one stream, which releases it when it ends. Throws for a bad request before the first event. */
async function following(
  context: GraphQLContext,
  conversationId: string | null,
  what: string,
  open: (feed: Feed) => Promise<EventStream>,
): Promise<LiveSource> {
  const { services, viewer } = context;
  const held = conversationId === null ? null : await services.feedRegistry.acquire(conversationId);
  if (!held || held.feed.organizationId !== viewer.organizationId) {
    held?.release();
    throw notFound(`There is no such ${what}.`);
  }
  try {
    const stream = await open(held.feed);
    const leave = services.presences.enter(held.feed.conversationId, personOf(viewer));
    return new LiveSource(context, stream, () => {
      leave();
      held.release();
    });
  } catch (error) {
    held.release();
    throw error instanceof BadCursorError ? badUserInput(error.message) : error;
  }
}
