import { type Author, authorKinds } from '../../access/caller.ts';
import { audienceOf, visibleTo } from '../../access/visibility.ts';
import { fragmentsFor } from '../../access/visible-calls.ts';
import { MessageRole, MessageStatus } from '../../generated/prisma/enums.ts';
import { responseLimits } from '../../graphql/budget.ts';
import { builder } from '../../graphql/builder.ts';
import { responseTooLarge } from '../../graphql/errors.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import type { GraphQLContext } from '../../graphql/context.ts';
import { present } from '../../graphql/present.ts';
import { isJsonObject, type JsonObject } from '../../json.ts';
import type { MessageRow } from '../log/rows.ts';
import { type Canvas } from '../model.ts';
import { FragmentRef } from './fragment.ts';
import { ConversationStateRef, stateOf } from './state.ts';

/** A reply as it was when it began, however long ago that is: in progress and without fragments. */
export function asBegun(row: MessageRow): MessageRow {
  return { ...row, status: 'IN_PROGRESS', completedAt: null, errorDetail: null, inputTokens: null, fragments: [] };
}

/** Those that came with the row, or else read now; those of a message that has ended once for all who share its row. */
function fragmentsOf(row: MessageRow, _args: object, { fragments }: GraphQLContext) {
  if (row.fragments) return row.fragments;
  const loaded = fragments.load(row.id);
  if (row.status === 'IN_PROGRESS') return loaded;
  row.fragments = loaded;
  loaded.catch(() => delete row.fragments);
  return loaded;
}

/** The row, for what may be large of it. Throws `RESPONSE_TOO_LARGE` when that was too much to be read with its page. */
function whole<Row extends MessageRow>(row: Row): Row {
  if (row.isCut) throw responseTooLarge(responseLimits);
  return row;
}

export const MessageRoleRef = builder.enumType('MessageRole', {
  description: 'On whose behalf a message stands in the conversation.',
  values: {
    [MessageRole.USER]: { description: 'The end user.' },
    [MessageRole.AGENT]: { description: 'The agent, or a human in its place.' },
    [MessageRole.CONTROL]: { description: 'For the agent, of operators. No client token ever sees one.' },
  } as const,
});

const MessageStatusRef = builder.enumType('MessageStatus', {
  description: 'How far a message has come. Messages that are not replies are always `DONE`.',
  values: {
    [MessageStatus.IN_PROGRESS]: { description: 'Being generated.' },
    [MessageStatus.DONE]: { description: 'Complete.' },
    [MessageStatus.STOPPED]: { description: 'Ended early on request; the text so far is kept.' },
    [MessageStatus.ERROR]: { description: 'See `errorDetail`; the text so far is kept.' },
  } as const,
});

const AuthorKindRef = builder.enumType('AuthorKind', {
  description: "Who really wrote it: a message of the role AGENT may be a human's.",
  values: {
    END_USER: { description: 'The person whom the conversation is for.' },
    AI_AGENT: { description: 'The agent.' },
    HUMAN_AGENT: { description: "A human, in the agent's place." },
    SYSTEM: { description: 'A program that uses the API.' },
  } as const,
});

export const AuthorRef = builder.objectRef<Author>('Author').implement({
  description: 'Who wrote a message, as known when it was written. A value without identity: do not normalise it.',
  fields: (t) => ({
    kind: t.expose('kind', { type: AuthorKindRef, description: 'A person, the agent, or the system.' }),
    displayName: t.string({ nullable: true, description: 'To show.', resolve: (author) => author.displayName }),
    avatarUrl: t.field({
      type: 'URL',
      nullable: true,
      description: 'A picture to show.',
      resolve: (author) => author.avatarUrl,
    }),
    externalId: t.string({
      ...operatorsOnly("The person's id in your own system; null for other kinds than persons."),
      resolve: ({ kind, externalId }) => (kind === 'SYSTEM' ? null : externalId),
    }),
    contact: t.prismaField({
      type: 'Contact',
      ...operatorsOnly('Null for other kinds than `END_USER`, and for an unknown person.'),
      resolve: (query, { contactId }, _args, { services }) =>
        contactId ? services.prisma.contact.findUnique({ ...query, where: { id: contactId } }) : null,
    }),
    agent: t.prismaField({
      type: 'Agent',
      nullable: true,
      description: 'Null for other kinds than `AI_AGENT`.',
      resolve: (query, { agentId }, _args, { services }) =>
        agentId ? services.prisma.agent.findUnique({ ...query, where: { id: agentId } }) : null,
    }),
  }),
});

const TokenUsageRef = builder.objectRef<{ inputTokens: number; outputTokens: number }>('TokenUsage').implement({
  description: 'As the model reports it.',
  fields: (t) => ({
    inputTokens: t.exposeInt('inputTokens', { description: 'Read by the model.' }),
    outputTokens: t.exposeInt('outputTokens', { description: 'Written by the model.' }),
  }),
});

const CanvasRef = builder.objectRef<Canvas>('Canvas').implement({
  description: 'A document that a message shows beside its text. Only operators and agents give one.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Names it among others.' }),
    type: t.exposeString('type', { description: 'How to show the content.' }),
    title: t.exposeString('title', { description: 'To show above it.' }),
    content: t.exposeString('content', { description: 'The document itself.' }),
  }),
});

export const MessageRef = builder.prismaNode('Message', {
  description: 'Immutable once `status` is `DONE`, `STOPPED` or `ERROR`.',
  id: { field: 'id', description: 'Of this object, and of no other of any type.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).message }),
  fields: (t) => ({
    conversation: t.relation('conversation', {
      description: 'Where it stands.',
      resolve: (query, { conversationId: id }, _args, { services }) =>
        services.prisma.conversation.findUnique({ ...query, where: { id } }).then(present),
    }),
    position: t.exposeInt('position', { description: 'Order within the conversation; gaps are possible.' }),
    role: t.expose('role', { type: MessageRoleRef, description: 'On whose behalf it stands.' }),
    author: t.field({
      type: AuthorRef,
      description: 'Who wrote it.',
      resolve: ({ author }) => authorOf(author),
    }),
    status: t.expose('status', { type: MessageStatusRef, description: 'How far it has come.' }),
    fragments: t.field({
      type: [FragmentRef],
      description: 'In order of `index`.',
      extensions: { weight: 5, entries: 10 },
      resolve: async (message, args, context) =>
        fragmentsFor(audienceOf(context.viewer), await fragmentsOf(message, args, context)),
    }),
    text: t.string({
      description: 'The text of its text fragments, joined.',
      extensions: { weight: 5 },
      resolve: async (message, args, context) => {
        const fragments = await fragmentsOf(message, args, context);
        return fragments.map((fragment) => fragment.text).join('');
      },
    }),
    canvas: t.field({
      type: CanvasRef,
      nullable: true,
      extensions: { weight: 5 },
      description: 'A document beside the text.',
      resolve: (message) => {
        const { canvas } = whole(message);
        return isCanvas(canvas) ? canvas : null;
      },
    }),
    metadata: t.field({
      type: 'JSONObject',
      description: 'Given by operators, shown to end users.',
      resolve: ({ metadata }) => objectOrNull(metadata) ?? {},
    }),
    contentPayload: t.field({
      type: 'JSONObject',
      nullable: true,
      description:
        'A machine-readable companion to the content, from whoever wrote the message: an end user can give anything.',
      resolve: (message) => objectOrNull(whole(message).contentPayload),
    }),
    queryMetadata: t.field({
      type: 'JSONObject',
      ...operatorsOnly("Handed to the agent's search; null when there is none."),
      resolve: (message) => objectOrNull(whole(message).queryMetadata),
    }),
    inReplyTo: t.prismaField({
      type: 'Message',
      nullable: true,
      description:
        'The message that it answers; null when the agent spoke unasked, and for a client token that may not see that message.',
      resolve: (query, { inReplyToId: id, inReplyTo }: MessageRow, _args, { services: { prisma }, viewer }) => {
        if (!id || inReplyTo) return inReplyTo;
        // Those of one moment are found in one query, but only where nothing is asked for beside the id.
        if (!viewer.confinedTo) return prisma.message.findUnique({ ...query, where: { id } });
        return prisma.message.findFirst({ ...query, where: { id, ...visibleTo(viewer).message } });
      },
    }),
    supersedes: t.prismaField({
      type: 'Message',
      nullable: true,
      description: 'The earlier reply that this one replaces.',
      resolve: (query, { supersedesId: id }, _args, { services }) =>
        id ? services.prisma.message.findUnique({ ...query, where: { id } }) : null,
    }),
    supersededBy: t.relation('supersededBy', {
      nullable: true,
      description: 'The later reply that replaces this one.',
      resolve: (query, { id: supersedesId }, _args, { services }) =>
        services.prisma.message.findUnique({ ...query, where: { supersedesId } }),
    }),
    errorDetail: t.exposeString('errorDetail', {
      nullable: true,
      description: 'For the status `ERROR`: what happened, safe to show.',
    }),
    stateAfter: t.field({
      type: ConversationStateRef,
      ...operatorsOnly('The state after this message, when it changed it.'),
      resolve: (message) => {
        const { stateAfter } = whole(message);
        return isJsonObject(stateAfter) ? stateOf(stateAfter) : null;
      },
    }),
    runtimeParameters: t.field({
      type: 'JSONObject',
      ...operatorsOnly('For a reply, the merged parameters that it was generated with.'),
      resolve: ({ runtimeParameters }) => objectOrNull(runtimeParameters),
    }),
    usage: t.field({
      type: TokenUsageRef,
      ...operatorsOnly('For a reply of a runtime that counts tokens.'),
      resolve: ({ inputTokens, outputTokens }) =>
        inputTokens !== null && outputTokens !== null ? { inputTokens, outputTokens } : null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was committed, or begun.' }),
    completedAt: t.expose('completedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ended; null until then.',
    }),
  }),
});

/** An author as stored. */
export function authorOf(json: unknown): Author {
  return isAuthor(json) ? json : { kind: 'SYSTEM' };
}

function isAuthor(json: unknown): json is Author {
  return isJsonObject(json) && typeof json.kind === 'string' && authorKinds.some((kind) => kind === json.kind);
}

function isCanvas(json: unknown): json is Canvas {
  return (
    isJsonObject(json) && [json.name, json.type, json.title, json.content].every((part) => typeof part === 'string')
  );
}

function objectOrNull(value: unknown): JsonObject | null {
  return isJsonObject(value) ? value : null;
}
