import { type Author, authorKinds } from '../../access/caller.ts';
import { visibleTo } from '../../access/visibility.ts';
import type { Message } from '../../generated/prisma/client.ts';
import { MessageRole, MessageStatus } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';
import type { GraphQLContext } from '../../graphql/context.ts';
import { isJsonObject, type JsonObject } from '../../json.ts';
import type { FragmentRow } from '../log/read.ts';
import { type Canvas } from '../model.ts';
import { FragmentRef } from './fragment.ts';
import { ConversationStateRef, stateOf } from './state.ts';

/** Replies shown as they were when they began: in progress, without fragments. */
const justBegun = new WeakSet<object>();

/** A reply's row as it was when the reply began, however long ago that is. */
export function asBegun<T extends { status: MessageStatus; completedAt: Date | null; errorDetail: string | null }>(
  row: T,
): T {
  const begun = { ...row, status: 'IN_PROGRESS' as const, completedAt: null, errorDetail: null, inputTokens: null };
  justBegun.add(begun);
  const asked = answered.get(row);
  if (asked) answered.set(begun, asked);
  return begun;
}

/** The rows of the messages that replies answer, where whoever is shown the reply was shown them. */
const answered = new WeakMap<object, Message>();

/** Both rows are shown to the same viewers, who need not have the second read again. */
export function repliesTo(reply: Message, asked: Message): void {
  answered.set(reply, asked);
}

/** Of the rows of messages that have ended, which the followers of an event share. Their fragments never change. */
const fragmentsOfEnded = new WeakMap<object, Promise<FragmentRow[]>>();

function fragmentsOf(
  message: { id: string; status: MessageStatus },
  _args: object,
  { fragments }: GraphQLContext,
): FragmentRow[] | Promise<FragmentRow[]> {
  if (justBegun.has(message)) return [];
  if (message.status === 'IN_PROGRESS') return fragments.load(message.id);
  const known = fragmentsOfEnded.get(message);
  if (known) return known;
  const loaded = fragments.load(message.id);
  fragmentsOfEnded.set(message, loaded);
  loaded.catch(() => fragmentsOfEnded.delete(message));
  return loaded;
}

export const MessageRoleRef = builder.enumType('MessageRole', {
  description: 'On whose behalf a message stands in the conversation.',
  values: {
    [MessageRole.USER]: { description: 'The end user.' },
    [MessageRole.AGENT]: { description: 'The agent, or a human in its place.' },
    [MessageRole.CONTROL]: { description: 'Hidden from end users.' },
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

export const AuthorKindRef = builder.enumType('AuthorKind', {
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
      nullable: true,
      description: "The person's id in the caller's own system.",
      resolve: (author) => author.externalId,
    }),
    contact: t.prismaField({
      type: 'Contact',
      nullable: true,
      description: 'OPERATORS ONLY. Null for other kinds than `END_USER`, and for an unknown person.',
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
  description: 'A document that a message shows beside its text.',
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
    conversation: t.relation('conversation', { description: 'Where it stands.' }),
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
      resolve: fragmentsOf,
    }),
    text: t.string({
      description: 'The text of its text fragments, joined.',
      resolve: async (message, args, context) => {
        const fragments = await fragmentsOf(message, args, context);
        return fragments.map((fragment) => fragment.text).join('');
      },
    }),
    canvas: t.field({
      type: CanvasRef,
      nullable: true,
      description: 'A document beside the text.',
      resolve: ({ canvas }) => (isCanvas(canvas) ? canvas : null),
    }),
    metadata: t.field({
      type: 'JSONObject',
      description: 'Visible to the end user.',
      resolve: ({ metadata }) => objectOrNull(metadata) ?? {},
    }),
    contentPayload: t.field({
      type: 'JSONObject',
      nullable: true,
      description: 'A machine-readable companion to the content.',
      resolve: ({ contentPayload }) => objectOrNull(contentPayload),
    }),
    queryMetadata: t.field({
      type: 'JSONObject',
      nullable: true,
      description: "OPERATORS ONLY. Handed to the agent's search; null when there is none.",
      resolve: ({ queryMetadata }) => objectOrNull(queryMetadata),
    }),
    inReplyTo: t.prismaField({
      type: 'Message',
      nullable: true,
      description: 'For a reply, the message it answers; null when the agent spoke unasked.',
      resolve: (query, reply, _args, { services, viewer }) => {
        const { inReplyToId: id } = reply;
        if (!id) return null;
        const where = { id, AND: visibleTo(viewer).message };
        return answered.get(reply) ?? services.prisma.message.findUnique({ ...query, where });
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
    }),
    errorDetail: t.exposeString('errorDetail', {
      nullable: true,
      description: 'For the status `ERROR`: what happened, safe to show.',
    }),
    stateAfter: t.field({
      type: ConversationStateRef,
      nullable: true,
      description: 'OPERATORS ONLY. The state after this message, when it changed it.',
      resolve: ({ stateAfter }) => (isJsonObject(stateAfter) ? stateOf(stateAfter) : null),
    }),
    runtimeParameters: t.field({
      type: 'JSONObject',
      nullable: true,
      description: 'OPERATORS ONLY. For a reply, the merged parameters that it was generated with.',
      resolve: ({ runtimeParameters }) => objectOrNull(runtimeParameters),
    }),
    usage: t.field({
      type: TokenUsageRef,
      nullable: true,
      description: 'OPERATORS ONLY. For a reply of a runtime that counts tokens.',
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
