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

/** The rows that the change left, and a note of it, should something that is selected below them fail. */
function rowsOf(committed: Committed, { committed: changes }: GraphQLContext, info: GraphQLResolveInfo): Rows {
  changes.note(info, committed);
  return committed.rows;
}

export const ConversationPayloadRef = builder.interfaceRef<Committed>('ConversationPayload').implement({
  description:
    'The result of a change to a conversation that still exists. The change is committed: an error below it carries ' +
    '`extensions.committed` with the `version`, `messageId` and `replyId`, and nothing has to be done again.',
  fields: (t) => ({
    conversation: t.prismaField({
      type: ConversationRef,
      description:
        'As this change left it. With `awaitReply`, and where the first success of an idempotency key is returned, as it is now.',
      resolve: (_query, committed, _args, context, info) => rowsOf(committed, context, info).conversation,
    }),
    cursor: t.field({
      type: 'EventCursor',
      description:
        'Just after this change. What others did before it is not in this payload: who follows already keeps to its own last ' +
        'cursor.',
      resolve: ({ conversationId, version, runningReplyVersion }, _args, { services }) =>
        cursorAt(services.logEpoch.current, conversationId, version, runningReplyVersion),
    }),
  }),
});

export type PayloadRef = ObjectRef<BuilderTypes, Committed, Committed>;

/** A payload that leaves a conversation behind and nothing else. */
export function payload(name: string, description: string): PayloadRef {
  const ref = builder.objectRef<Committed>(name);
  ref.implement({ description, interfaces: [ConversationPayloadRef] });
  return ref;
}

/** Adds the message that a command committed, or `always` committed. */
export function withMessage(ref: PayloadRef, description: string, { always }: { always: boolean }): void {
  withMessageField(ref, 'message', description, always);
}

/** Adds the reply that a command may have begun, or `always` names. */
export function withReply(ref: PayloadRef, description: string, { always }: { always: boolean }): void {
  withMessageField(ref, 'reply', description, always);
}

function withMessageField(ref: PayloadRef, name: 'message' | 'reply', description: string, always: boolean): void {
  builder.objectField(ref, name, (t) =>
    always
      ? t.prismaField({
          type: MessageRef,
          description,
          resolve: (_query, committed, _args, context, info) => present(rowsOf(committed, context, info)[name]),
        })
      : t.prismaField({
          type: MessageRef,
          nullable: true,
          description,
          resolve: (_query, committed, _args, context, info) => rowsOf(committed, context, info)[name],
        }),
  );
}

/** Adds the handoff that a command began, changed or ended. */
export function withHandoff(ref: PayloadRef): void {
  builder.objectField(ref, 'handoff', (t) =>
    t.prismaField({
      type: HandoffRef,
      description: 'As this change left it.',
      resolve: (_query, committed, _args, context, info) => present(rowsOf(committed, context, info).handoff),
    }),
  );
}
