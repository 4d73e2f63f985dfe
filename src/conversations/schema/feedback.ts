import { requireReply } from '../../access/participation.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import type { Feedback } from '../../generated/prisma/client.ts';
import { Rating } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';
import { rateReply } from '../commands/rate.ts';
import { MessageRef } from './message.ts';
import { payload, withReply } from './payloads.ts';

export const RatingRef = builder.enumType('Rating', {
  description: 'Whether a reply was good.',
  values: { [Rating.UP]: { description: 'Good.' }, [Rating.DOWN]: { description: 'Not good.' } } as const,
});

const FeedbackRef = builder.objectRef<Feedback>('Feedback').implement({
  description: 'How a reply was rated.',
  fields: (t) => ({
    rating: t.expose('rating', { type: RatingRef, description: 'Whether it was good.' }),
    comment: t.exposeString('comment', { nullable: true, description: 'Why. End users see it too.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was given, or changed last.' }),
  }),
});

builder.prismaObjectField(MessageRef, 'feedback', (t) =>
  t.field({
    type: FeedbackRef,
    nullable: true,
    description: 'How the reply was rated last. Null if it was not, or no longer is.',
    resolve: ({ id: messageId, role }, _args, { services }) =>
      role === 'AGENT' ? services.prisma.feedback.findUnique({ where: { messageId } }) : null,
  }),
);

const RateReplyInput = builder.inputType('RateReplyInput', {
  description: 'The rating. It takes the place of an earlier one, whoever gave it.',
  fields: (t) => ({
    replyId: t.id({ required: true, description: "ID of the reply's message, `msg_…`. It has ended." }),
    rating: t.field({ type: RatingRef, description: 'Left out or null takes the rating back.' }),
    comment: t.string({ description: 'Why. End users see it too. At most 1 KiB.' }),
  }),
});

const RateReplyPayload = payload('RateReplyPayload', 'The rated reply.');
withReply(RateReplyPayload, 'The rated reply.', { always: true });

builder.mutationField('rateReply', (t) =>
  t.field({
    type: RateReplyPayload,
    nullable: true,
    authScopes: { write: true, answer: true, rate: true },
    description: 'Rates a reply, of the agent or of a human in its place. The same rating again does nothing.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'RateReplyResult', description: 'The result of `rateReply`.' },
    },
    args: { input: t.arg({ type: RateReplyInput, required: true, description: 'The rating.' }) },
    resolve: async (_root, { input }, context) => {
      await requireReply(context, input.replyId);
      return rateReply(context.services, context.viewer, input);
    },
  }),
);
