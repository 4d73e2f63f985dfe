import { ContactBlockedError } from '../../contacts/failures.ts';
import { IdempotencyMismatchError } from '../../conversations/failures.ts';
import { AgentAuthorInput, fields } from '../../conversations/schema/inputs.ts';
import { payload, withMessage } from '../../conversations/schema/payloads.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { retryLetter } from '../commands/retry-letter.ts';
import { startEmailConversation } from '../commands/start-conversation.ts';
import { letterLimits } from '../model.ts';
import { LetterRef } from './letter.ts';

const LetterRecipient = builder.inputType('LetterRecipient', {
  description: 'Whom a letter goes to. Give exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    contactId: t.id({ description: 'A contact with an email address.' }),
    address: t.string({
      description:
        'An email address. The contact who is known by it, in upper or lower case; if there is none, one is made.',
    }),
  }),
});

const StartEmailConversationInput = builder.inputType('StartEmailConversationInput', {
  description: 'The letter that begins the conversation.',
  fields: (t) => ({
    inboxId: t.id({ required: true, description: 'The email inbox that it comes from. It must have an address.' }),
    to: t.field({ type: LetterRecipient, required: true, description: 'Whom it goes to.' }),
    subject: t.string({
      required: true,
      description: `Its subject, and the title of the conversation. One line of 1 to ${letterLimits.subject} characters.`,
    }),
    text: t.string({ required: true, description: 'Its text. 1 character to 1 MiB.' }),
    author: t.field({
      type: AgentAuthorInput,
      description: 'Who wrote it. Default: the agent; an operator is always themself.',
    }),
    agentId: t.id({
      description: "The agent that answers. Default: the inbox's agent, or else the organization's default agent.",
    }),
    metadata: t.field({ type: 'JSONObject', description: 'Of the conversation, for operators. At most 64 KiB.' }),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

const StartEmailConversationPayload = payload('StartEmailConversationPayload', 'The new conversation.');
withMessage(StartEmailConversationPayload, 'The message that goes out as the letter.', { always: true });

builder.mutationField('startEmailConversation', (t) =>
  t.field({
    type: StartEmailConversationPayload,
    nullable: true,
    authScopes: { write: true, answer: true },
    description:
      'Begins a conversation by a letter to a person. What they answer comes into it, and the agent answers that.',
    errors: {
      types: [NotFoundError, InvalidInputError, IdempotencyMismatchError, ContactBlockedError],
      union: { name: 'StartEmailConversationResult', description: 'The result of `startEmailConversation`.' },
    },
    args: { input: t.arg({ type: StartEmailConversationInput, required: true, description: 'The letter.' }) },
    resolve: (_root, { input }, { services, viewer }) => startEmailConversation(services, viewer, input),
  }),
);

const RetryLetterInput = builder.inputType('RetryLetterInput', {
  description: 'The letter to try again.',
  fields: (t) => ({ letterId: t.id({ required: true, description: 'ID of the letter, `letter_…`.' }) }),
});

const RetryLetterPayload = builder.objectRef<{ letterId: string }>('RetryLetterPayload').implement({
  description: 'The letter, which is tried again.',
  fields: (t) => ({
    letter: t.prismaField({
      type: LetterRef,
      description: 'The current letter.',
      resolve: (query, { letterId: id }, _args, { services }) =>
        services.prisma.letter.findUnique({ ...query, where: { id } }).then(present),
    }),
  }),
});

builder.mutationField('retryLetter', (t) =>
  t.field({
    type: RetryLetterPayload,
    nullable: true,
    authScopes: { $all: { read: true, write: true } },
    description:
      'Tries a letter that has failed or come back once more: the same bytes under the same `Message-ID`, or made anew if the contact has another address now.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'RetryLetterResult', description: 'The result of `retryLetter`.' },
    },
    args: { input: t.arg({ type: RetryLetterInput, required: true, description: 'Which letter.' }) },
    resolve: (_root, { input }, { services, viewer }) => retryLetter(services, viewer, input),
  }),
);
