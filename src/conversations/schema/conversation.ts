import { visibleTo } from '../../access/visibility.ts';
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { Handoff, Message } from '../../generated/prisma/client.ts';
import { ConversationStatus } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';
import { decodePageCursor, encodePageCursor, keysetPage } from '../../graphql/connection.ts';
import { isJsonObject } from '../../json.ts';
import { cursorAt } from '../stream/cursor.ts';
import { HandoffRef } from './handoff.ts';
import { MessageRef, MessageRoleRef } from './message.ts';
import { ConversationStateRef, stateOf } from './state.ts';

export const ConversationStatusRef = builder.enumType('ConversationStatus', {
  description: 'Which side answers.',
  values: {
    [ConversationStatus.ACTIVE]: { description: 'The agent answers.' },
    [ConversationStatus.HANDED_OFF]: { description: 'A human answers or is awaited.' },
    [ConversationStatus.ENDED]: { description: 'Nothing more is accepted.' },
  } as const,
});

export const ConversationRef = builder.prismaNode('Conversation', {
  description: 'An exchange between one end user and an agent, with humans stepping in.',
  id: { field: 'id', description: 'Of this object, and of no other of any type.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).conversation }),
  fields: (t) => ({
    version: t.exposeInt('version', {
      description:
        'Raised by each committed event; a command may raise it several times, so take it from the payload and never compute ' +
        'it. Streamed text does not raise it.',
    }),
    cursor: t.field({
      type: 'EventCursor',
      description:
        'Follow from here. Never newer than anything else in the same response, so nothing is missed; take it from the ' +
        'response, not from a cache.',
      // Of the row that was read first: what is read after it can only be newer.
      resolve: ({ id, version, runningReplyVersion }) => cursorAt(id, version, runningReplyVersion),
    }),
    status: t.expose('status', { type: ConversationStatusRef, description: 'Which side answers.' }),
    title: t.exposeString('title', { nullable: true, description: 'For lists.' }),
    agent: t.relation('agent', { description: 'Who answers.' }),
    contact: t.relation('contact', { nullable: true, description: 'The end user; null when unknown.' }),
    inbox: t.relation('inbox', {
      nullable: true,
      description: 'The channel it arrived by; null for plain API use.',
    }),
    state: t.field({
      type: ConversationStateRef,
      nullable: true,
      description: 'OPERATORS ONLY.',
      resolve: ({ playbook, phase, systemMessage, context }) => stateOf({ playbook, phase, systemMessage, context }),
    }),
    systemPrompt: t.exposeString('systemPrompt', {
      nullable: true,
      description: "OPERATORS ONLY. Added to the agent's own prompt; null when there is none.",
    }),
    corpus: t.relation('corpus', {
      nullable: true,
      description: "OPERATORS ONLY. Consulted instead of the agent's own corpus; null when there is none.",
    }),
    runtimeParameters: t.field({
      type: 'JSONObject',
      nullable: true,
      description: 'OPERATORS ONLY. Apply to each reply unless its message overrides them.',
      resolve: ({ runtimeParameters }) => (isJsonObject(runtimeParameters) ? runtimeParameters : {}),
    }),
    metadata: t.field({
      type: 'JSONObject',
      nullable: true,
      description: 'OPERATORS ONLY.',
      resolve: ({ metadata }) => (isJsonObject(metadata) ? metadata : {}),
    }),
    runningReply: t.prismaField({
      type: 'Message',
      nullable: true,
      description: 'The reply being generated now.',
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
            ({ startedVersion }: Handoff) => encodePageCursor(startedVersion),
            ({ limit, inverted, ...slice }) =>
              context.services.prisma.handoff.findMany({
                ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
                where: { conversationId: id, startedVersion: between(slice) },
                orderBy: { startedVersion: inverted ? 'desc' : 'asc' },
                take: limit,
              }),
          ),
      },
      { name: 'HandoffConnection', description: 'A page of handoffs.' },
      { name: 'HandoffEdge', description: 'One of a page.' },
    ),
    messages: t.connection(
      {
        type: MessageRef,
        description:
          'Oldest first; for a chat ask for `last: 50` and page with `before`. Superseded replies only when asked for.',
        args: {
          roles: t.arg({ type: [MessageRoleRef], description: 'Only these; left out, all.' }),
          includeSuperseded: t.arg.boolean({
            required: true,
            defaultValue: false,
            description: 'Also replies that a later one replaces.',
          }),
        },
        resolve: ({ id }, args, context, info) =>
          keysetPage(
            args,
            ({ position }: Message) => encodePageCursor(position),
            ({ limit, inverted, ...slice }) =>
              context.services.prisma.message.findMany({
                ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
                where: {
                  conversationId: id,
                  position: between(slice),
                  ...(args.roles && { role: { in: args.roles } }),
                  AND: visibleTo(context.viewer).message,
                  ...(!args.includeSuperseded && { supersededBy: null }),
                },
                orderBy: { position: inverted ? 'desc' : 'asc' },
                take: limit,
              }),
          ),
      },
      { name: 'MessageConnection', description: 'A page of messages.' },
      { name: 'MessageEdge', description: 'One of a page.' },
    ),
    messageCount: t.exposeInt('messageCount', {
      description: 'Messages of the roles USER and AGENT, superseded ones included.',
    }),
    lastMessage: t.prismaField({
      type: 'Message',
      nullable: true,
      description: 'The latest message of the role USER or AGENT.',
      resolve: (query, { lastMessageId }, _args, { services }) =>
        lastMessageId ? services.prisma.message.findUnique({ ...query, where: { id: lastMessageId } }) : null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was started.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When `version` was last raised.' }),
    endedAt: t.expose('endedAt', { type: 'DateTime', nullable: true, description: 'When it was ended.' }),
  }),
});

/** The numbers between two pagination cursors. */
function between({ after, before }: { after?: string | undefined; before?: string | undefined }) {
  return {
    ...(after !== undefined && { gt: decodePageCursor(after, 'integer')[0] }),
    ...(before !== undefined && { lt: decodePageCursor(before, 'integer')[0] }),
  };
}
