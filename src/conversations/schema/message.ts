import { type Author, authorKinds } from '../../access/caller.ts';
import { audienceOf, visibleTo } from '../../access/visibility.ts';
import { fragmentsFor } from '../../access/visible-calls.ts';
import { MessageRole, MessageStatus } from '../../generated/prisma/enums.ts';
import { responseLimits } from '../../graphql/budget.ts';
import { builder } from '../../graphql/builder.ts';
import { responseTooLarge } from '../../graphql/errors.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import type { GraphQLContext } from '../../graphql/context.ts';
import { plainly } from '../../graphql/plain-fields.ts';
import { present } from '../../graphql/present.ts';
import { isJsonObject, type JsonObject } from '../../json.ts';
import type { Companion, Companions } from '../log/companions.ts';
import type { FragmentRow } from '../log/read.ts';
import type { MessageRow } from '../log/rows.ts';
import { type Canvas } from '../model.ts';
import { FragmentRef } from './fragment.ts';
import { ConversationStateRef, stateOf } from './state.ts';

/** A reply as it was when it began: in progress and without fragments. */
export function asBegun(row: MessageRow): MessageRow {
  return { ...row, status: 'IN_PROGRESS', completedAt: null, errorDetail: null, inputTokens: null, fragments: [] };
}

/** Came with the row, or read now. The fragments of an ended message are read once for all who share its row. */
export function fragmentsOf(row: MessageRow, _args: object, { loaders }: GraphQLContext) {
  if (row.fragments) return row.fragments;
  const loaded = loaders.fragments.load(row.id);
  if (row.status === 'IN_PROGRESS') return loaded;
  row.fragments = loaded;
  loaded.catch(() => delete row.fragments);
  return loaded;
}

/** Makes something of the fragments: at once if they came with the row, since a promise for each message of a page is dear. */
function ofFragments<T>(
  row: MessageRow,
  context: GraphQLContext,
  make: (fragments: FragmentRow[]) => T,
): T | Promise<T> {
  const fragments = fragmentsOf(row, {}, context);
  return fragments instanceof Promise ? fragments.then(make) : make(fragments);
}

/**
 * Makes something of a companion: at once if it came with the row. Throws `RESPONSE_TOO_LARGE` if it was too much to be read with its
 * page, or is now.
 */
function ofCompanion<T>(
  row: Pick<MessageRow, 'id' | 'isCut'> & Partial<Companions>,
  field: Companion,
  { loaders }: GraphQLContext,
  make: (value: unknown) => T,
): T | Promise<T> {
  if (row.isCut) throw responseTooLarge(responseLimits);
  const value = row[field];
  return value === undefined ? loaders.companions.load(row.id).then((read) => make(read?.[field])) : make(value);
}

export const MessageRoleRef = builder.enumType('MessageRole', {
  description: 'Which side a message belongs to.',
  values: {
    [MessageRole.USER]: { description: 'The end user.' },
    [MessageRole.AGENT]: { description: 'The agent, or a human in its place.' },
    [MessageRole.CONTROL]: { description: 'A message from operators to the agent. Client tokens never see one.' },
    [MessageRole.NOTE]: {
      description: 'A message from operators to operators. Agents and client tokens never see one.',
    },
  } as const,
});

const MessageStatusRef = builder.enumType('MessageStatus', {
  description: 'Progress of a message. Messages that are not replies are always `DONE`.',
  values: {
    [MessageStatus.IN_PROGRESS]: { description: 'The reply is running.' },
    [MessageStatus.DONE]: { description: 'Complete.' },
    [MessageStatus.STOPPED]: { description: 'Ended early on request. The text so far is kept.' },
    [MessageStatus.ERROR]: { description: 'Failed: see `errorDetail`. The text so far is kept.' },
  } as const,
});

const AuthorKindRef = builder.enumType('AuthorKind', {
  description: 'Who actually wrote a message. A message of the role `AGENT` may be from a human.',
  values: {
    END_USER: { description: 'The end user.' },
    AI_AGENT: { description: 'The agent.' },
    HUMAN_AGENT: { description: "A human, in the agent's place." },
    SYSTEM: { description: 'A program that uses the API.' },
  } as const,
});

export const AuthorRef = builder.objectRef<Author>('Author').implement({
  description: 'Who wrote a message, as known when it was written. It has no ID: caches must not normalise it.',
  fields: (t) => ({
    kind: t.expose('kind', { type: AuthorKindRef, description: 'The kind of author.' }),
    displayName: t.exposeString('displayName', { nullable: true, description: 'Name to show.' }),
    avatarUrl: t.field({
      type: 'URL',
      nullable: true,
      description: 'Picture to show.',
      resolve: plainly((author) => author.avatarUrl),
    }),
    externalId: t.string({
      ...operatorsOnly("The person's ID in your own system. Null if the author is not a person."),
      resolve: plainly(({ kind, externalId }) => (kind === 'SYSTEM' ? null : externalId)),
    }),
    contact: t.prismaField({
      type: 'Contact',
      ...operatorsOnly('Null for kinds other than `END_USER`, and for an unknown person.'),
      resolve: (query, { contactId }, _args, { services }) =>
        contactId
          ? services.prisma.contact.findUnique({ ...query, where: { id: contactId, erasingSince: null } })
          : null,
    }),
    operator: t.prismaField({
      type: 'Operator',
      ...operatorsOnly('The operator who wrote it with a credential of their own. Otherwise null.'),
      resolve: (query, { operatorId: id }, _args, { services }) =>
        id ? services.prisma.operator.findUnique({ ...query, where: { id } }) : null,
    }),
    agent: t.prismaField({
      type: 'Agent',
      nullable: true,
      description: 'Null for kinds other than `AI_AGENT`.',
      resolve: (query, { agentId }, _args, { services }) =>
        agentId ? services.prisma.agent.findUnique({ ...query, where: { id: agentId } }) : null,
    }),
  }),
});

const TokenUsageRef = builder.objectRef<{ inputTokens: number; outputTokens: number }>('TokenUsage').implement({
  description: 'Number of tokens used, as reported by the model.',
  fields: (t) => ({
    inputTokens: t.exposeInt('inputTokens', { description: 'Tokens read by the model.' }),
    outputTokens: t.exposeInt('outputTokens', { description: 'Tokens written by the model.' }),
  }),
});

const CanvasRef = builder.objectRef<Canvas>('Canvas').implement({
  description: 'A document that a message shows beside its text. Only operators and agents write one.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the document.' }),
    type: t.exposeString('type', { description: 'Kind of content: tells clients how to show it.' }),
    title: t.exposeString('title', { description: 'Title to show above the document.' }),
    content: t.exposeString('content', { description: 'The document itself.' }),
  }),
});

export const MessageRef = builder.prismaNode('Message', {
  description: 'A message of a conversation. It no longer changes once `status` is `DONE`, `STOPPED` or `ERROR`.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).message }),
  fields: (t) => ({
    conversation: t.relation('conversation', {
      description: 'The conversation that the message belongs to.',
      resolve: (query, { conversationId: id }, _args, { services }) =>
        services.prisma.conversation.findUnique({ ...query, where: { id } }).then(present),
    }),
    position: t.exposeInt('position', { description: 'Order within the conversation. There may be gaps.' }),
    role: t.expose('role', { type: MessageRoleRef, description: 'Which side the message belongs to.' }),
    author: t.field({
      type: AuthorRef,
      description: 'Who wrote the message.',
      resolve: plainly(({ author }) => authorOf(author)),
    }),
    status: t.expose('status', { type: MessageStatusRef, description: 'Progress of the message.' }),
    fragments: t.field({
      type: [FragmentRef],
      description: 'Ordered by `index`.',
      extensions: { weight: 5, entries: 10 },
      resolve: plainly((message, context) =>
        ofFragments(message, context, (fragments) => fragmentsFor(audienceOf(context.viewer), fragments)),
      ),
    }),
    text: t.string({
      description: 'The texts of its text fragments, joined.',
      extensions: { weight: 5 },
      resolve: plainly((message, context) =>
        ofFragments(message, context, (fragments) => fragments.map(({ text }) => text).join('')),
      ),
    }),
    canvas: t.field({
      type: CanvasRef,
      nullable: true,
      extensions: { weight: 5 },
      description: 'A document to show beside the text.',
      resolve: plainly((message, context) =>
        ofCompanion(message, 'canvas', context, (canvas) => (isCanvas(canvas) ? canvas : null)),
      ),
    }),
    metadata: t.field({
      type: 'JSONObject',
      description: 'Given by operators, shown to end users.',
      resolve: plainly(({ metadata }) => objectOrNull(metadata) ?? {}),
    }),
    contentPayload: t.field({
      type: 'JSONObject',
      nullable: true,
      description:
        'The content in machine-readable form, from whoever wrote the message. Do not trust it: an end user can send anything.',
      resolve: plainly((message, context) => ofCompanion(message, 'contentPayload', context, objectOrNull)),
    }),
    queryMetadata: t.field({
      type: 'JSONObject',
      ...operatorsOnly("Passed to the agent's search. Null if there is none."),
      resolve: plainly((message, context) => ofCompanion(message, 'queryMetadata', context, objectOrNull)),
    }),
    inReplyTo: t.prismaField({
      type: 'Message',
      nullable: true,
      description:
        'The message that this one answers. Null if the agent spoke unasked, and for a client token that may not see that message.',
      resolve: (query, { inReplyToId: id, inReplyTo }: MessageRow, _args, { services: { prisma }, viewer }) => {
        if (!id || inReplyTo) return inReplyTo;
        // Prisma joins look-ups of one moment into one query, but only if the condition is the id alone.
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
      description: 'For the status `ERROR`: what happened. Safe to show to end users.',
    }),
    stateAfter: t.field({
      type: ConversationStateRef,
      ...operatorsOnly('The state after this message, if the message changed it.'),
      resolve: plainly((message, context) =>
        ofCompanion(message, 'stateAfter', context, (state) => (isJsonObject(state) ? stateOf(state) : null)),
      ),
    }),
    runtimeParameters: t.field({
      type: 'JSONObject',
      ...operatorsOnly('For a reply: the merged parameters that it was generated with.'),
      resolve: plainly(({ runtimeParameters }) => objectOrNull(runtimeParameters)),
    }),
    usage: t.field({
      type: TokenUsageRef,
      ...operatorsOnly('For a reply whose runtime counts tokens. Null otherwise.'),
      resolve: plainly(({ inputTokens, outputTokens }) =>
        inputTokens !== null && outputTokens !== null ? { inputTokens, outputTokens } : null,
      ),
    }),
    clientId: t.string({
      nullable: true,
      description:
        'The `clientId` that the sender gave. Null for every credential but the one that sent the message. Null for the sender too once ' +
        'they have become another contact, as after `mergeContacts`.',
      resolve: plainly(({ clientId, clientIdOf }, { viewer }) => (clientIdOf === viewer.id ? clientId : null)),
    }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'When the message was committed. For a reply: when it began.',
    }),
    completedAt: t.expose('completedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the message was complete. Null until then.',
    }),
    erasedAt: t.expose('erasedAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When the content was erased, because somebody whom it is of was erased: then the texts are empty. Null for all others.',
    }),
  }),
});

/** An author from its stored form. */
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
