import { DEFAULT_VISIBILITY } from '../../access/visible-calls.ts';
import { builder, type BuilderTypes } from '../../graphql/builder.ts';
import { CallVisibilityRef } from '../../graphql/call-visibility.ts';

type InputFields = PothosSchemaTypes.InputFieldBuilder<BuilderTypes, 'InputObject'>;

const fragmentMetadata = (t: InputFields) =>
  t.field({
    type: 'JSONObject',
    description:
      'For operators to give, shown to end users. Without `citations`, which only agents write. At most 64 KiB.',
  });

const TextFragmentInput = builder.inputType('TextFragmentInput', {
  description: 'Text with metadata.',
  fields: (t) => ({
    text: t.string({ required: true, description: 'At least 1 character.' }),
    metadata: fragmentMetadata(t),
  }),
});

const FunctionCallFragmentInput = builder.inputType('FunctionCallFragmentInput', {
  description: 'A call that was made elsewhere.',
  fields: (t) => ({
    name: t.string({ required: true, description: "The function's name." }),
    args: t.field({ type: 'JSONObject', required: true, description: 'What it was called with.' }),
    metadata: fragmentMetadata(t),
    visibility: t.field({
      type: CallVisibilityRef,
      required: true,
      defaultValue: DEFAULT_VISIBILITY,
      description: 'What end users see of it.',
    }),
  }),
});

const FunctionResponseFragmentInput = builder.inputType('FunctionResponseFragmentInput', {
  description: 'What a call that was made elsewhere gave; `callIndex` is the place of the call in the same list.',
  fields: (t) => ({
    name: t.string({ required: true, description: "The function's name." }),
    callIndex: t.int({ description: 'From 0.' }),
    response: t.field({ type: 'JSON', description: 'What it gave.' }),
    failed: t.boolean({ required: true, defaultValue: false, description: 'Whether it failed.' }),
    metadata: fragmentMetadata(t),
    visibility: t.field({
      type: CallVisibilityRef,
      description: `What end users see of it. Left out: as of its call, or \`${DEFAULT_VISIBILITY}\` when it names none.`,
    }),
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

const authorFields = (t: InputFields) => ({
  externalId: t.string({ description: "The person's id in your own system. Not shown to end users." }),
  displayName: t.string({ description: 'To show.' }),
  avatarUrl: t.field({ type: 'URL', description: 'A picture to show.' }),
});

const AuthorInput = builder.inputType('AuthorInput', {
  description: 'The person who wrote a message of the end user.',
  fields: authorFields,
});

const AgentAuthorKind = builder.enumType('AgentAuthorKind', {
  description: 'Who writes in the name of the agent.',
  values: {
    AI_AGENT: { description: 'The agent.' },
    HUMAN_AGENT: { description: "A human, in the agent's place." },
  } as const,
});

export const AgentAuthorInput = builder.inputType('AgentAuthorInput', {
  description: 'Who wrote a message in the name of the agent.',
  fields: (t) => ({
    kind: t.field({
      type: AgentAuthorKind,
      required: true,
      defaultValue: 'AI_AGENT',
      description: 'Whether an agent or a human wrote it.',
    }),
    ...authorFields(t),
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
  canvas: t.field({ type: CanvasInput, description: 'For operators to give. A document beside the text.' }),
  metadata: t.field({
    type: 'JSONObject',
    description:
      'For operators to give, shown to end users. Without `citations`, which only agents write. At most 64 KiB.',
  }),
  contentPayload: t.field({
    type: 'JSONObject',
    description: 'A machine-readable companion to the content. At most 64 KiB.',
  }),
});

/** What a message of the end user is made of. */
export const userMessageFields = (t: InputFields) => ({
  content: t.field({ type: ContentInput, required: true, description: 'What it says.' }),
  author: t.field({
    type: AuthorInput,
    description: 'For operators to give. Who wrote it, when it is not the contact.',
  }),
  contactId: t.id({
    description: "For operators to give. The person who wrote it, when it is not the conversation's contact.",
  }),
  ...companionFields(t),
  queryMetadata: t.field({
    type: 'JSONObject',
    description:
      "For operators to give. Handed to the agent's search for this message alone, over `Conversation.searchMetadata`. At most 64 KiB.",
  }),
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
