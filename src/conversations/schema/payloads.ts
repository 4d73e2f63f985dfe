import type { ObjectRef } from '@pothos/core';
import type { GraphQLResolveInfo } from 'graphql';
import { builder, type BuilderTypes } from '../../graphql/builder.ts';
import type { GraphQLContext } from '../../graphql/context.ts';
import { present } from '../../graphql/present.ts';
import type { Committed } from '../log/commit.ts';
import type { Rows } from '../log/rows.ts';
import { cursorAt } from '../stream/cursor.ts';
import { ConversationRef } from './conversation.ts';
import { HandoffRef } from './handoff.ts';
import { MessageRef } from './message.ts';

/** The rows after the change. Also records the change, so that an error below them can say what was committed. */
function rowsOf(committed: Committed, { committed: changes }: GraphQLContext, info: GraphQLResolveInfo): Rows {
  changes.note(info, committed);
  return committed.rows;
}

export const ConversationPayloadRef = builder.interfaceRef<Committed>('ConversationPayload').implement({
  description:
    'The result of a change to a conversation that still exists. The change is committed: an error below the payload carries ' +
    '`extensions.committed` with `version`, `messageId` and `replyId`, and the command must not be sent again.',
  fields: (t) => ({
    conversation: t.field({
      type: ConversationRef,
      description:
        'The conversation right after this change. With `awaitReply`, or if an idempotency key returns its first success: as it is now.',
      resolve: (committed, _args, context, info) => rowsOf(committed, context, info).conversation,
    }),
    cursor: t.field({
      type: 'EventCursor',
      description:
        "The place right after this change. Others' changes before it are not in this payload: a client that follows already keeps using its own last " +
        'cursor.',
      resolve: ({ conversationId, version, runningReplyVersion }, _args, { services }) =>
        cursorAt(services.logEpoch.current, conversationId, version, runningReplyVersion),
    }),
  }),
});

export type PayloadRef = ObjectRef<BuilderTypes, Committed, Committed>;

/** A payload with the conversation and its cursor, and no other field. */
export function payload(name: string, description: string): PayloadRef {
  const ref = builder.objectRef<Committed>(name);
  ref.implement({ description, interfaces: [ConversationPayloadRef] });
  return ref;
}

/** Adds the field for the message that a command committed. Not nullable if the command `always` commits one. */
export function withMessage(ref: PayloadRef, description: string, { always }: { always: boolean }): void {
  withMessageField(ref, 'message', description, always);
}

/** Adds the field for a command's reply. Not nullable if the command `always` has one. */
export function withReply(ref: PayloadRef, description: string, { always }: { always: boolean }): void {
  withMessageField(ref, 'reply', description, always);
}

function withMessageField(ref: PayloadRef, name: 'message' | 'reply', description: string, always: boolean): void {
  builder.objectField(ref, name, (t) =>
    always
      ? t.field({
          type: MessageRef,
          description,
          resolve: (committed, _args, context, info) => present(rowsOf(committed, context, info)[name]),
        })
      : t.field({
          type: MessageRef,
          nullable: true,
          description,
          resolve: (committed, _args, context, info) => rowsOf(committed, context, info)[name],
        }),
  );
}

/** Adds the field for the handoff that a command started, accepted or ended. */
export function withHandoff(ref: PayloadRef): void {
  builder.objectField(ref, 'handoff', (t) =>
    t.field({
      type: HandoffRef,
      description: 'The handoff right after this change.',
      resolve: (committed, _args, context, info) => present(rowsOf(committed, context, info).handoff),
    }),
  );
}
