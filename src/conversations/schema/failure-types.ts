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
  description: 'A reply is running. Wait for it, stop it, or send again with another `onBusy`.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    runningReply: t.prismaField({
      type: 'Message',
      description: 'The running reply.',
      resolve: (query, { runningReplyId }, _args, { services }) =>
        services.prisma.message.findUnique({ ...query, where: { id: runningReplyId } }).then(present),
    }),
    currentVersion: t.exposeInt('currentVersion', {
      description: 'Version of the conversation when the command was rejected.',
    }),
  }),
});

builder.objectType(VersionConflictError, {
  name: 'VersionConflictError',
  description: 'The conversation has changed since `expectedVersion`. Read it again, decide, and send again.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    expectedVersion: t.exposeInt('expectedVersion', { description: 'The value given in the input.' }),
    currentVersion: t.exposeInt('currentVersion', {
      description: 'Version of the conversation when the command was rejected.',
    }),
  }),
});

builder.objectType(ConversationEndedError, {
  name: 'ConversationEndedError',
  description: 'The conversation has ended.',
  interfaces: [UserErrorRef],
});

builder.objectType(HandedOffError, {
  name: 'HandedOffError',
  description: 'The conversation is handed off already, so the agent cannot reply and no other human can take it.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    handoff: t.prismaField({
      type: 'Handoff',
      description: 'The handoff in force.',
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
  description: 'The idempotency key was used before with another input.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    idempotencyKey: t.exposeString('idempotencyKey', { description: 'The value given in the input.' }),
  }),
});

for (const [failure, description] of [
  [ConversationBusyError, 'The current conversation. The reply may have ended since.'],
  [VersionConflictError, 'The current conversation.'],
  [ConversationEndedError, 'The ended conversation.'],
  [HandedOffError, 'The current conversation.'],
  [NotHandedOffError, 'The current conversation.'],
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
