import { AttachmentInput, attachmentsDescription } from '../../attachments/schema/input.ts';
import { DEFAULT_VISIBILITY } from '../../access/visible-calls.ts';
import { builder, type BuilderTypes } from '../../graphql/builder.ts';
import { CallVisibilityRef } from '../../graphql/call-visibility.ts';

type InputFields = PothosSchemaTypes.InputFieldBuilder<BuilderTypes, 'InputObject'>;

const fragmentMetadata = (t: InputFields) =>
  t.field({
    type: 'JSONObject',
    description:
      'Only operators may give it. End users see it. Must not contain `citations`, which only agents write. At most 64 KiB.',
  });

const TextFragmentInput = builder.inputType('TextFragmentInput', {
  description: 'Text with metadata.',
  fields: (t) => ({
    text: t.string({ required: true, description: 'At least 1 character.' }),
    metadata: fragmentMetadata(t),
  }),
});

const FunctionCallFragmentInput = builder.inputType('FunctionCallFragmentInput', {
  description: 'A call made outside Parley.',
  fields: (t) => ({
    name: t.string({ required: true, description: "The function's name." }),
    args: t.field({ type: 'JSONObject', required: true, description: 'The arguments of the call.' }),
    metadata: fragmentMetadata(t),
    visibility: t.field({
      type: CallVisibilityRef,
      required: true,
      defaultValue: DEFAULT_VISIBILITY,
      description: 'What end users see of the call.',
    }),
  }),
});

const FunctionResponseFragmentInput = builder.inputType('FunctionResponseFragmentInput', {
  description: 'The response of a call made outside Parley.',
  fields: (t) => ({
    name: t.string({ required: true, description: "The function's name." }),
    callIndex: t.int({ description: 'Index of the call in the same list of fragments, from 0.' }),
    response: t.field({ type: 'JSON', description: 'What the function returned.' }),
    failed: t.boolean({ required: true, defaultValue: false, description: 'Whether the function failed.' }),
    metadata: fragmentMetadata(t),
    visibility: t.field({
      type: CallVisibilityRef,
      description: `What end users see of the response. Default: as for its call, or \`${DEFAULT_VISIBILITY}\` without \`callIndex\`.`,
    }),
  }),
});

const FragmentInput = builder.inputType('FragmentInput', {
  description: 'One typed fragment.',
  isOneOf: true,
  fields: (t) => ({
    text: t.field({ type: TextFragmentInput, description: 'Text.' }),
    functionCall: t.field({ type: FunctionCallFragmentInput, description: 'A call of a function.' }),
    functionResponse: t.field({ type: FunctionResponseFragmentInput, description: 'The response of a function.' }),
  }),
});

export const ContentInput = builder.inputType('ContentInput', {
  description: 'What a message says: plain text, or typed fragments.',
  isOneOf: true,
  fields: (t) => ({
    text: t.string({ description: '1 character to 1 MiB. May be empty in a message with attachments.' }),
    fragments: t.field({ type: [FragmentInput], description: '1 to 1000 fragments, at most 1 MiB in total.' }),
  }),
});

const authorFields = (t: InputFields) => ({
  externalId: t.string({ description: "The person's ID in your own system. Not shown to end users." }),
  displayName: t.string({ description: 'Name to show.' }),
  avatarUrl: t.field({ type: 'URL', description: 'Picture to show.' }),
});

export const AuthorInput = builder.inputType('AuthorInput', {
  description: 'A person who wrote a message.',
  fields: authorFields,
});

const AgentAuthorKind = builder.enumType('AgentAuthorKind', {
  description: "Who writes in the agent's name.",
  values: {
    AI_AGENT: { description: 'The agent.' },
    HUMAN_AGENT: { description: "A human, in the agent's place." },
  } as const,
});

export const AgentAuthorInput = builder.inputType('AgentAuthorInput', {
  description: "The author of a message in the agent's name.",
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
  description: 'A document that a message shows beside its text.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Name of the document.' }),
    type: t.string({ required: true, description: 'Kind of content: tells clients how to show it.' }),
    title: t.string({ required: true, description: 'Title to show above the document.' }),
    content: t.string({ required: true, description: 'The document itself. At most 1 MiB.' }),
  }),
});

export const StateInput = builder.inputType('StateInput', {
  description: 'A field left out stays unchanged. Null clears it.',
  fields: (t) => ({
    playbook: t.string({ description: "The name of one of the agent's playbooks." }),
    phase: t.string({ description: 'The name of a phase of the playbook that is in force after this change.' }),
    systemMessage: t.string({ description: "Replaces the playbook's instructions. At most 64 KiB." }),
    context: t.field({ type: 'JSON', description: 'Any further information for the agent. At most 256 KiB.' }),
  }),
});

export const MessageAction = builder.enumType('MessageAction', {
  description: 'What to do after the message is committed.',
  values: {
    GENERATE_REPLY: { description: 'Start a reply of the agent.' },
    NONE: { description: 'Do not start a reply.' },
  } as const,
});

export const attachmentsField = (t: InputFields) =>
  t.field({ type: [AttachmentInput], description: attachmentsDescription });

/** Fields that accompany the content of a message. */
export const companionFields = (t: InputFields) => ({
  canvas: t.field({
    type: CanvasInput,
    description: 'Only operators may give it. A document to show beside the text.',
  }),
  metadata: t.field({
    type: 'JSONObject',
    description:
      'Only operators may give it. End users see it. Must not contain `citations`, which only agents write. At most 64 KiB.',
  }),
  contentPayload: t.field({
    type: 'JSONObject',
    description: 'The content in machine-readable form. At most 64 KiB.',
  }),
  attachments: attachmentsField(t),
});

/** Fields of a message of the end user. */
export const userMessageFields = (t: InputFields) => ({
  content: t.field({ type: ContentInput, required: true, description: 'Content of the message.' }),
  author: t.field({
    type: AuthorInput,
    description: 'Only operators may give it. Who wrote the message, if not the contact.',
  }),
  contactId: t.id({
    description: "Only operators may give it. The contact who wrote the message, if not the conversation's contact.",
  }),
  ...companionFields(t),
  clientId: t.string({
    description:
      'What your client calls the message, to match it with the real one when that arrives. Told to your own credential alone. At most 255 bytes.',
  }),
  queryMetadata: t.field({
    type: 'JSONObject',
    description:
      "Only operators may give it. Passed to the agent's search for this message alone. Overrides `Conversation.searchMetadata`. At most 64 KiB.",
  }),
});

export const MessageInput = builder.inputType('MessageInput', {
  description: 'The first message of a conversation. `SendMessageInput` has the same fields.',
  fields: userMessageFields,
});

const OnBusy = builder.enumType('OnBusy', {
  description: 'What to do if a reply is running.',
  values: {
    REJECT: { description: 'Fail with `ConversationBusyError`.' },
    INTERRUPT: { description: 'Stop the running reply, keep its text, and proceed.' },
  } as const,
});

/** Fields that the inputs of several commands share. */
export const fields = {
  conversationId: (t: InputFields) => t.id({ required: true, description: 'ID of the conversation, `conv_…`.' }),
  expectedVersion: (t: InputFields) =>
    t.int({
      description:
        'Proceed only if the conversation is still at this version. Otherwise fail with `VersionConflictError`.',
    }),
  idempotencyKey: (t: InputFields) =>
    t.string({
      description:
        '1 to 255 characters, kept for at least 24 hours. Sending the same key and input again returns the first success.',
    }),
  awaitReply: (t: InputFields) =>
    t.boolean({
      required: true,
      defaultValue: false,
      description:
        'Wait until the reply has ended, at most 60 seconds. A reply still running then is returned as it is: follow it from `cursor`.',
    }),
  onBusy: (t: InputFields) =>
    t.field({ type: OnBusy, required: true, defaultValue: 'REJECT', description: 'What to do if a reply is running.' }),
  replyParameters: (t: InputFields) =>
    t.field({ type: 'JSONObject', description: 'For this reply alone. They override those of the conversation.' }),
};
