import { builder, type BuilderTypes } from '../../graphql/builder.ts';
import { AuthorKindRef } from './message.ts';

type InputFields = PothosSchemaTypes.InputFieldBuilder<BuilderTypes, 'InputObject'>;

const TextFragmentInput = builder.inputType('TextFragmentInput', {
  description: 'Text with metadata, for instance citations.',
  fields: (t) => ({
    text: t.string({ required: true, description: 'At least 1 character.' }),
    metadata: t.field({ type: 'JSONObject', description: 'At most 64 KiB.' }),
  }),
});

const FunctionCallFragmentInput = builder.inputType('FunctionCallFragmentInput', {
  description: 'A call that was made elsewhere.',
  fields: (t) => ({
    name: t.string({ required: true, description: "The function's name." }),
    args: t.field({ type: 'JSONObject', required: true, description: 'What it was called with.' }),
    metadata: t.field({ type: 'JSONObject', description: 'At most 64 KiB.' }),
  }),
});

const FunctionResponseFragmentInput = builder.inputType('FunctionResponseFragmentInput', {
  description: 'What a call that was made elsewhere gave; `callIndex` is the place of the call in the same list.',
  fields: (t) => ({
    name: t.string({ required: true, description: "The function's name." }),
    callIndex: t.int({ description: 'From 0.' }),
    response: t.field({ type: 'JSON', description: 'What it gave.' }),
    failed: t.boolean({ required: true, defaultValue: false, description: 'Whether it failed.' }),
    metadata: t.field({ type: 'JSONObject', description: 'At most 64 KiB.' }),
  }),
});

const FragmentInput = builder.inputType('FragmentInput', {
  description: 'One typed fragment.',
  isOneOf: true,
  fields: (t) => ({
    text: t.field({ type: TextFragmentInput, description: 'Text.' }),
    functionCall: t.field({ type: FunctionCallFragmentInput, description: 'A call.' }),
    functionResponse: t.field({ type: FunctionResponseFragmentInput, description: 'What a call gave.' }),
  }),
});

export const ContentInput = builder.inputType('ContentInput', {
  description: 'What a message says: plain text, or typed fragments.',
  isOneOf: true,
  fields: (t) => ({
    text: t.string({ description: '1 character to 1 MiB.' }),
    fragments: t.field({ type: [FragmentInput], description: '1 to 1000, in all at most 1 MiB.' }),
  }),
});

export const AuthorInput = builder.inputType('AuthorInput', {
  description: 'Left out: as the mutation and the credential say.',
  fields: (t) => ({
    kind: t.field({ type: AuthorKindRef, description: '`AI_AGENT` or `HUMAN_AGENT`, for `addAgentMessage` alone.' }),
    externalId: t.string({ description: "The person's id in your own system." }),
    displayName: t.string({ description: 'To show.' }),
    avatarUrl: t.field({ type: 'URL', description: 'A picture to show.' }),
  }),
});

export const CanvasInput = builder.inputType('CanvasInput', {
  description: 'See `Canvas`.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Names it among others.' }),
    type: t.string({ required: true, description: 'How to show the content.' }),
    title: t.string({ required: true, description: 'To show above it.' }),
    content: t.string({ required: true, description: 'At most 1 MiB.' }),
  }),
});

export const StateInput = builder.inputType('StateInput', {
  description: 'A field left out stays unchanged; null clears it.',
  fields: (t) => ({
    playbook: t.string({ description: "The name of one of the agent's playbooks." }),
    phase: t.string({ description: 'The name of a phase of the playbook that is then in force.' }),
    systemMessage: t.string({ description: "Takes the place of the playbook's instructions. At most 64 KiB." }),
    context: t.field({ type: 'JSON', description: 'Anything that the agent should know. At most 256 KiB.' }),
  }),
});

export const MessageAction = builder.enumType('MessageAction', {
  description: 'What to do once the message is committed.',
  values: {
    GENERATE_REPLY: { description: 'Have the agent answer.' },
    NONE: { description: 'Leave it unanswered.' },
  } as const,
});

/** What goes with the content of a message. */
export const companionFields = (t: InputFields) => ({
  canvas: t.field({ type: CanvasInput, description: 'A document beside the text.' }),
  metadata: t.field({ type: 'JSONObject', description: 'Visible to the end user. At most 64 KiB.' }),
  contentPayload: t.field({
    type: 'JSONObject',
    description: 'A machine-readable companion to the content. At most 64 KiB.',
  }),
});

/** What a message of the end user is made of. */
export const userMessageFields = (t: InputFields) => ({
  content: t.field({ type: ContentInput, required: true, description: 'What it says.' }),
  author: t.field({ type: AuthorInput, description: 'Who wrote it, when it is not the contact.' }),
  contactId: t.id({ description: "The person who wrote it, when it is not the conversation's contact." }),
  ...companionFields(t),
  queryMetadata: t.field({ type: 'JSONObject', description: "Handed to the agent's search. At most 64 KiB." }),
});

export const MessageInput = builder.inputType('MessageInput', {
  description: 'A first message. The same fields, flat, are in `SendMessageInput`.',
  fields: userMessageFields,
});

const OnBusy = builder.enumType('OnBusy', {
  description: 'What to do while a reply is being generated.',
  values: {
    REJECT: { description: 'Fail with `ConversationBusyError`.' },
    INTERRUPT: { description: 'Stop the running reply, keep its text, go on.' },
  } as const,
});

/** Fields that the inputs of several commands share. */
export const fields = {
  conversationId: (t: InputFields) => t.id({ required: true, description: 'Which conversation, `conv_…`.' }),
  expectedVersion: (t: InputFields) =>
    t.int({
      description:
        'Do it only if the conversation is still at this version; otherwise fail with `VersionConflictError`.',
    }),
  idempotencyKey: (t: InputFields) =>
    t.string({
      description:
        '1 to 255 characters, remembered for at least 24 hours: the same key and input return the first success.',
    }),
  awaitReply: (t: InputFields) =>
    t.boolean({
      required: true,
      defaultValue: false,
      description:
        'Return when the reply has ended. After 60 seconds it is returned as it is; follow it from `cursor`.',
    }),
  onBusy: (t: InputFields) =>
    t.field({ type: OnBusy, required: true, defaultValue: 'REJECT', description: 'While a reply runs.' }),
  replyParameters: (t: InputFields) =>
    t.field({ type: 'JSONObject', description: 'For this reply alone, over those of the conversation.' }),
};
