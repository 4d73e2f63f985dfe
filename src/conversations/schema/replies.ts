import { refuseFields, refuseSteering, requireReply } from '../../access/participation.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import {
  ConversationBusyError,
  ConversationEndedError,
  HandedOffError,
  IdempotencyMismatchError,
  VersionConflictError,
} from '../failures.ts';
import { regenerateReply } from '../commands/regenerate.ts';
import { stopReply } from '../commands/stop.ts';
import { fields } from './inputs.ts';
import { takeReply } from './take-reply.ts';
import { payload, withReply } from './payloads.ts';

const StopReplyInput = builder.inputType('StopReplyInput', {
  description: 'The reply to stop. Naming the reply, not the conversation, makes sure that no other reply is stopped.',
  fields: (t) => ({ replyId: t.id({ required: true, description: "ID of the reply's message, `msg_…`." }) }),
});

const StopReplyPayload = payload('StopReplyPayload', 'The ended reply.');
withReply(StopReplyPayload, 'The reply as it ended.', { always: true });

builder.mutationField('stopReply', (t) =>
  t.field({
    type: StopReplyPayload,
    nullable: true,
    authScopes: { write: true, answer: true, participate: true },
    description:
      'Stops a reply, whichever server runs it, and keeps its text. A reply that has already ended is returned as it is.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'StopReplyResult', description: 'The result of `stopReply`.' },
    },
    args: { input: t.arg({ type: StopReplyInput, required: true, description: 'The reply to stop.' }) },
    resolve: async (_root, { input }, context) => {
      await requireReply(context, input.replyId);
      return stopReply(context.services, context.viewer, input);
    },
  }),
);

const RegenerateReplyInput = builder.inputType('RegenerateReplyInput', {
  description: 'The reply to replace.',
  fields: (t) => ({
    replyId: t.id({
      required: true,
      description: 'ID of the latest reply of its conversation. No message may follow it.',
    }),
    runtimeParameters: fields.replyParameters(t),
    awaitReply: fields.awaitReply(t),
    expectedVersion: fields.expectedVersion(t),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

const RegenerateReplyPayload = payload('RegenerateReplyPayload', 'The new reply.');
withReply(RegenerateReplyPayload, 'The new reply. `supersedes` is the old one.', { always: true });

builder.mutationField('regenerateReply', (t) =>
  t.field({
    type: RegenerateReplyPayload,
    nullable: true,
    authScopes: { write: true, answer: true, regenerate: true },
    description:
      'Generates a new reply that replaces the latest one. The old one stays readable through `Message.supersedes`.',
    errors: {
      types: [
        ConversationBusyError,
        VersionConflictError,
        ConversationEndedError,
        HandedOffError,
        NotFoundError,
        InvalidInputError,
        IdempotencyMismatchError,
      ],
      union: { name: 'RegenerateReplyResult', description: 'The result of `regenerateReply`.' },
    },
    args: { input: t.arg({ type: RegenerateReplyInput, required: true, description: 'The reply to replace.' }) },
    resolve: async (_root, { input }, context) => {
      const conversationId = await requireReply(context, input.replyId);
      refuseFields(context.viewer, input, ['runtimeParameters']);
      refuseSteering(context.viewer, input, ['runtimeParameters']);
      if (conversationId !== null) await takeReply(context, conversationId);
      return regenerateReply(context.services, context.viewer, input);
    },
  }),
);
