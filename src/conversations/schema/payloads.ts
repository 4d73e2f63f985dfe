import type { ObjectRef } from '@pothos/core';
import { builder, type BuilderTypes } from '../../graphql/builder.ts';
import type { Committed } from '../log/commit.ts';
import { cursorAt } from '../stream/cursor.ts';
import { ConversationRef } from './conversation.ts';
import { MessageRef } from './message.ts';

export const ConversationPayloadRef = builder.interfaceRef<Committed>('ConversationPayload').implement({
  description: 'The result of a change to a conversation that still exists.',
  fields: (t) => ({
    conversation: t.prismaField({
      type: ConversationRef,
      description: 'As it is now, which may be after later changes.',
      resolve: (query, { conversationId }, _args, { services }) =>
        services.prisma.conversation.findUniqueOrThrow({ ...query, where: { id: conversationId } }),
    }),
    cursor: t.field({
      type: 'EventCursor',
      description:
        'Just after this change. What others did before it is not in this payload: who follows already keeps to its own last ' +
        'cursor.',
      resolve: ({ conversationId, version, runningReplyVersion }) =>
        cursorAt(conversationId, version, runningReplyVersion),
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
  withMessageField(ref, 'message', description, always, ({ messageId }) => messageId);
}

/** Adds the reply that a command may have begun, or `always` names. */
export function withReply(ref: PayloadRef, description: string, { always }: { always: boolean }): void {
  withMessageField(ref, 'reply', description, always, ({ replyId }) => replyId);
}

function withMessageField(
  ref: PayloadRef,
  name: string,
  description: string,
  always: boolean,
  idOf: (changed: Committed) => string | null,
): void {
  builder.objectField(ref, name, (t) =>
    always
      ? t.prismaField({
          type: MessageRef,
          description,
          resolve: (query, changed, _args, { services }) =>
            services.prisma.message.findUniqueOrThrow({ ...query, where: { id: idOf(changed) ?? '' } }),
        })
      : t.prismaField({
          type: MessageRef,
          nullable: true,
          description,
          resolve: (query, changed, _args, { services }) => {
            const id = idOf(changed);
            return id === null ? null : services.prisma.message.findUnique({ ...query, where: { id } });
          },
        }),
  );
}
