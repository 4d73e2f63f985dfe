import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { UserErrorRef } from '../../graphql/user-errors.ts';
import {
  ConversationBusyError,
  ConversationEndedError,
  HandedOffError,
  IdempotencyMismatchError,
  NotHandedOffError,
  VersionConflictError,
} from '../failures.ts';

builder.objectType(ConversationBusyError, {
  name: 'ConversationBusyError',
  description: 'A reply is being generated. Wait for it, stop it, or send again with another `onBusy`.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    runningReply: t.prismaField({
      type: 'Message',
      description: 'The reply in the way.',
      resolve: (query, { runningReplyId }, _args, { services }) =>
        services.prisma.message.findUnique({ ...query, where: { id: runningReplyId } }).then(present),
    }),
    currentVersion: t.exposeInt('currentVersion', { description: 'When this was decided.' }),
  }),
});

builder.objectType(VersionConflictError, {
  name: 'VersionConflictError',
  description: 'The conversation has moved on since `expectedVersion`. Read, decide, send again.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    expectedVersion: t.exposeInt('expectedVersion', { description: 'As given.' }),
    currentVersion: t.exposeInt('currentVersion', { description: 'When this was decided.' }),
  }),
});

builder.objectType(ConversationEndedError, {
  name: 'ConversationEndedError',
  description: 'The conversation has ended.',
  interfaces: [UserErrorRef],
});

builder.objectType(HandedOffError, {
  name: 'HandedOffError',
  description: 'The conversation is handed off already, so an agent cannot reply, nor another human take it.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    handoff: t.prismaField({
      type: 'Handoff',
      description: 'The one in force.',
      resolve: (query, { handoffId }, _args, { services }) =>
        services.prisma.handoff.findUnique({ ...query, where: { id: handoffId } }).then(present),
    }),
  }),
});

builder.objectType(NotHandedOffError, {
  name: 'NotHandedOffError',
  description: 'No handoff is in force.',
  interfaces: [UserErrorRef],
});

builder.objectType(IdempotencyMismatchError, {
  name: 'IdempotencyMismatchError',
  description: 'The key was used before with another input.',
  interfaces: [UserErrorRef],
  fields: (t) => ({ idempotencyKey: t.exposeString('idempotencyKey', { description: 'As given.' }) }),
});

for (const [failure, description] of [
  [ConversationBusyError, 'As it is now, which may be after the reply has ended.'],
  [VersionConflictError, 'As it is now.'],
  [ConversationEndedError, 'The ended conversation.'],
  [HandedOffError, 'As it is now.'],
  [NotHandedOffError, 'As it is now.'],
] as const) {
  builder.objectField(failure, 'conversation', (t) =>
    t.prismaField({
      type: 'Conversation',
      description,
      resolve: (query, { conversationId }, _args, { services }) =>
        services.prisma.conversation.findUnique({ ...query, where: { id: conversationId } }).then(present),
    }),
  );
}
