import { requireReply } from '../../access/participation.ts';
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
import * as fields from './input-fields.ts';
import { payload, withReply } from './payloads.ts';

const StopReplyInput = builder.inputType('StopReplyInput', {
  description: 'The reply, by its own id, so that never another one is stopped.',
  fields: (t) => ({ replyId: t.id({ required: true, description: 'The id of the reply, a message.' }) }),
});

const StopReplyPayload = payload('StopReplyPayload', 'The reply in its last status.');
withReply(StopReplyPayload, 'As it ended.', { always: true });

builder.mutationField('stopReply', (t) =>
  t.field({
    type: StopReplyPayload,
    nullable: true,
    authScopes: { write: true, participate: true },
    description:
      'Stops this reply wherever it runs and keeps its text. A reply that has already ended is returned as it is.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'StopReplyResult', description: 'What `stopReply` comes to.' },
    },
    args: { input: t.arg({ type: StopReplyInput, required: true, description: 'Which reply.' }) },
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
      description: 'The latest reply of its conversation, after which nobody has written.',
    }),
    runtimeParameters: fields.replyParameters(t),
    awaitReply: fields.awaitReply(t),
    expectedVersion: fields.expectedVersion(t),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

const RegenerateReplyPayload = payload('RegenerateReplyPayload', 'The reply, begun again.');
withReply(RegenerateReplyPayload, 'The new reply; the old one is its `supersedes`.', { always: true });

builder.mutationField('regenerateReply', (t) =>
  t.field({
    type: RegenerateReplyPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Answers again in place of the latest reply, which stays readable through `Message.supersedes`.',
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
      union: { name: 'RegenerateReplyResult', description: 'What `regenerateReply` comes to.' },
    },
    args: { input: t.arg({ type: RegenerateReplyInput, required: true, description: 'Which reply.' }) },
    resolve: (_root, { input }, { services, viewer }) => regenerateReply(services, viewer, input),
  }),
);
