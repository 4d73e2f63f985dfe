import { builder, type BuilderTypes } from '../../graphql/builder.ts';

export type InputFields = PothosSchemaTypes.InputFieldBuilder<BuilderTypes, 'InputObject'>;

/** Fields that the inputs of several commands share. */

export const conversationId = (t: InputFields) =>
  t.id({ required: true, description: 'Which conversation, `conv_…`.' });

export const expectedVersion = (t: InputFields) =>
  t.int({
    description: 'Do it only if the conversation is still at this version; otherwise fail with `VersionConflictError`.',
  });

export const idempotencyKey = (t: InputFields) =>
  t.string({
    description:
      '1 to 255 characters, remembered for at least 24 hours: the same key and input return the first success.',
  });

export const awaitReply = (t: InputFields) =>
  t.boolean({
    required: true,
    defaultValue: false,
    description: 'Return when the reply has ended. After 60 seconds it is returned as it is; follow it from `cursor`.',
  });

const OnBusy = builder.enumType('OnBusy', {
  description: 'What to do while a reply is being generated.',
  values: {
    REJECT: { description: 'Fail with `ConversationBusyError`.' },
    INTERRUPT: { description: 'Stop the running reply, keep its text, go on.' },
  } as const,
});

export const onBusy = (t: InputFields) =>
  t.field({ type: OnBusy, required: true, defaultValue: 'REJECT', description: 'While a reply runs.' });

export const replyParameters = (t: InputFields) =>
  t.field({ type: 'JSONObject', description: 'For this reply alone, over those of the conversation.' });
