import { visibleTo } from '../../access/visibility.ts';
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { Conversation, Handoff } from '../../generated/prisma/client.ts';
import { ConversationStatus } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';
import { type ConnectionPage, Keyset, keysetPage } from '../../graphql/connection.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import { present } from '../../graphql/present.ts';
import { isJsonObject } from '../../json.ts';
import type { ConversationServices } from '../services.ts';
import { cursorAt } from '../stream/cursor.ts';
import { canAnswer, canSend, canTakeOver } from '../may-do.ts';
import { HandoffRef } from './handoff.ts';
import { MessageRef, MessageRoleRef } from './message.ts';
import { messagesOf } from './message-page.ts';
import { ConversationStateRef, stateOf } from './state.ts';

const byStart = new Keyset({ startedVersion: 'integer' });

export const ConversationStatusRef = builder.enumType('ConversationStatus', {
  description: 'Whether the agent or a human answers.',
  values: {
    [ConversationStatus.ACTIVE]: { description: 'The agent answers.' },
    [ConversationStatus.HANDED_OFF]: { description: 'A human answers, or has been asked for.' },
    [ConversationStatus.ENDED]: { description: 'No more messages are accepted.' },
  } as const,
});

export const ConversationRef = builder.prismaNode('Conversation', {
  description: 'An exchange between one end user and an agent, in which humans can step in.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).conversation }),
  fields: (t) => ({
    version: t.exposeInt('version', {
      description:
        'Increased by 1 with each committed event. A command may commit several, so read it from the payload and never compute ' +
        'it. Streamed text does not change it.',
    }),
    status: t.expose('status', { type: ConversationStatusRef, description: 'Whether the agent or a human answers.' }),
    title: t.exposeString('title', { nullable: true, description: 'Title to show in lists.' }),
    agent: t.relation('agent', {
      description: 'The agent that answers.',
      resolve: (query, { agentId: id }, _args, { services }) =>
        services.prisma.agent.findUnique({ ...query, where: { id } }).then(present),
    }),
    contact: t.relation('contact', {
      nullable: true,
      description: 'The end user. Null if unknown.',
      resolve: (query, { contactId: id }, _args, { services }) =>
        id === null ? null : services.prisma.contact.findUnique({ ...query, where: { id } }),
    }),
    inbox: t.relation('inbox', {
      nullable: true,
      description: 'The inbox through which the conversation arrived. Null if it was created without one.',
      resolve: (query, { inboxId: id }, _args, { services }) =>
        id === null ? null : services.prisma.inbox.findUnique({ ...query, where: { id } }),
    }),
    state: t.field({
      type: ConversationStateRef,
      ...operatorsOnly(),
      resolve: ({ playbook, phase, systemMessage, context }) => stateOf({ playbook, phase, systemMessage, context }),
    }),
    systemPrompt: t.exposeString('systemPrompt', {
      ...operatorsOnly("Added to the agent's own prompt. Null if there is none."),
    }),
    corpus: t.relation('corpus', {
      ...operatorsOnly("Consulted instead of the agent's own corpus. Null if there is none."),
      resolve: (query, { corpusId: id }, _args, { services }) =>
        id === null ? null : services.prisma.corpus.findUnique({ ...query, where: { id } }),
    }),
    runtimeParameters: t.field({
      type: 'JSONObject',
      ...operatorsOnly('Used for each reply unless its message overrides them.'),
      resolve: ({ runtimeParameters }) => (isJsonObject(runtimeParameters) ? runtimeParameters : {}),
    }),
    metadata: t.field({
      type: 'JSONObject',
      ...operatorsOnly(),
      resolve: ({ metadata }) => (isJsonObject(metadata) ? metadata : {}),
    }),
    searchMetadata: t.field({
      type: 'JSONObject',
      ...operatorsOnly(
        "Passed to the agent's search with each message. The message's own `queryMetadata` overrides it.",
      ),
      resolve: ({ searchMetadata }) => (isJsonObject(searchMetadata) ? searchMetadata : {}),
    }),
    labels: t.field({
      type: ['String'],
      ...operatorsOnly("Words of the operators' own, sorted. Changed by `updateConversation`."),
      resolve: ({ labels }) => labels,
    }),
    continues: t.prismaField({
      type: 'Conversation',
      nullable: true,
      description: 'The ended conversation that this one goes on from. Null if there is none that you may see.',
      resolve: (query, { continuesId }, _args, { services, viewer }) =>
        continuesId === null
          ? null
          : services.prisma.conversation.findUnique({
              ...query,
              where: { id: continuesId, AND: visibleTo(viewer).conversation },
            }),
    }),
    runningReply: t.prismaField({
      type: 'Message',
      nullable: true,
      description: 'The reply that is running now.',
      resolve: (query, { runningReplyId }, _args, { services }) =>
        runningReplyId ? services.prisma.message.findUnique({ ...query, where: { id: runningReplyId } }) : null,
    }),
    handoff: t.prismaField({
      type: HandoffRef,
      nullable: true,
      description: 'The handoff in force now.',
      resolve: (query, { handoffId }, _args, { services }) =>
        handoffId ? services.prisma.handoff.findUnique({ ...query, where: { id: handoffId } }) : null,
    }),
    handoffs: t.connection(
      {
        type: HandoffRef,
        description: 'All handoffs, oldest first.',
        resolve: ({ id }, args, context, info) =>
          keysetPage(
            args,
            byStart,
            (row: Handoff) => row,
            (slice) =>
              context.services.prisma.handoff.findMany({
                ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
                where: { conversationId: id, AND: byStart.between(slice) },
                orderBy: byStart.orderOf(slice),
                take: slice.limit,
              }),
          ),
      },
      { name: 'HandoffConnection', description: 'A page of handoffs.' },
      { name: 'HandoffEdge', description: 'An entry of a page.' },
    ),
    messages: t.connection(
      {
        type: MessageRef,
        description:
          'Oldest first. For a chat, ask for `last: 50` and page with `before`. Superseded replies are left out unless asked for.',
        args: {
          roles: t.arg({ type: [MessageRoleRef], description: 'Return only messages of these roles. Left out: all.' }),
          includeSuperseded: t.arg.boolean({
            required: true,
            defaultValue: false,
            description: 'Include replies that a later one replaced.',
          }),
        },
        resolve: async (conversation, args, context, info) => {
          const messages = await messagesOf(conversation, args, context, info);
          // A function: of a getter, V8 would keep all that it sees until the next full collection.
          return { ...messages, eventCursor: () => eventCursorOf(context.services, conversation, args, messages) };
        },
      },
      {
        name: 'MessageConnection',
        description: 'A page of messages.',
        fields: (t) => ({
          eventCursor: t.field({
            type: 'EventCursor',
            nullable: true,
            description:
              'Pass it as `after` to `conversationEvents` to follow the conversation from this page. No event is missed, and ' +
              'what is on the page may be sent again. Null for a page that does not end with the latest message ' +
              '(`before`, `after` or `first` given).',
            resolve: ({ eventCursor }) => eventCursor(),
          }),
        }),
      },
      { name: 'MessageEdge', description: 'An entry of a page.' },
    ),
    viewerCanSend: t.boolean({
      description: "Whether you could send an end user's message now, without interrupting a reply.",
      resolve: (row, _args, { viewer, services }) => canSend(services.prisma, viewer, row),
    }),
    viewerCanAnswer: t.boolean({
      description: 'Whether you could answer as a human now, with `addAgentMessage`, without interrupting a reply.',
      resolve: (row, _args, { viewer, services }) => canAnswer(services.prisma, viewer, row),
    }),
    viewerCanTakeOver: t.boolean({
      description:
        'Whether you could take it over now: you are an operator, and do not have it. If another has it, name them as ' +
        '`expectedHolder`.',
      resolve: (row, _args, { viewer, services }) => canTakeOver(services.prisma, viewer, row),
    }),
    messageCount: t.exposeInt('messageCount', {
      description: 'Number of messages that end users see, including superseded ones.',
    }),
    lastMessage: t.prismaField({
      type: 'Message',
      nullable: true,
      description: 'The latest message that end users see.',
      resolve: (query, { lastMessageId }, _args, { services }) =>
        lastMessageId ? services.prisma.message.findUnique({ ...query, where: { id: lastMessageId } }) : null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the conversation was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When `version` last changed.' }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the conversation was ended. Null until then.',
    }),
  }),
});

/** Made of the row read before the page, so the page can only be newer. Null unless the page reaches the end. */
function eventCursorOf(
  { logEpoch }: Pick<ConversationServices, 'logEpoch'>,
  { id, version, runningReplyVersion }: Pick<Conversation, 'id' | 'version' | 'runningReplyVersion'>,
  { first, after, before }: { first?: number | null; after?: string | null; before?: string | null },
  { pageInfo }: ConnectionPage<object>,
): string | null {
  const reachesEnd = first == null && after == null && before == null && !pageInfo.hasNextPage;
  return reachesEnd ? cursorAt(logEpoch.current, id, version, runningReplyVersion) : null;
}
