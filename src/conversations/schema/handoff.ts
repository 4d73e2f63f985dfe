import { visibleTo } from '../../access/visibility.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import { isJsonObject } from '../../json.ts';
import { AuthorRef, authorOf } from './message.ts';

export const HandoffStatusRef = builder.enumType('HandoffStatus', {
  description: 'How far a handoff has come.',
  values: {
    WAITING: { description: 'No human has accepted yet.' },
    ACCEPTED: { description: 'A human has it.' },
    ENDED: { description: 'The agent has the conversation again, or it has ended.' },
  } as const,
});

export const HandoffRef = builder.prismaNode('Handoff', {
  description: 'A human instead of the agent, from the asking to the end.',
  id: { field: 'id', description: 'Of this object, and of no other of any type.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).handoff }),
  fields: (t) => ({
    conversation: t.relation('conversation', {
      description: 'What is handed off.',
      resolve: (query, { conversationId: id }, _args, { services }) =>
        services.prisma.conversation.findUnique({ ...query, where: { id } }).then(present),
    }),
    status: t.field({
      type: HandoffStatusRef,
      description: 'How far it has come.',
      resolve: ({ acceptedAt, endedAt }) => (endedAt ? 'ENDED' : acceptedAt ? 'ACCEPTED' : 'WAITING'),
    }),
    reason: t.exposeString('reason', operatorsOnly('Null when none was given.')),
    queue: t.exposeString('queue', operatorsOnly('Who should take it.')),
    assignee: t.exposeString('assignee', operatorsOnly('Who has taken it.')),
    author: t.field({
      type: AuthorRef,
      nullable: true,
      description: 'The human who is there, as their latest message shows them; null until they have written one.',
      resolve: async ({ conversationId, startedVersion, endedAt }, _args, { services }) => {
        const message = await services.prisma.message.findFirst({
          where: {
            conversationId,
            role: 'AGENT',
            createdVersion: { gt: startedVersion },
            ...(endedAt && { createdAt: { lte: endedAt } }),
            author: { path: ['kind'], equals: 'HUMAN_AGENT' },
          },
          orderBy: { position: 'desc' },
          select: { author: true },
        });
        return message && authorOf(message.author);
      },
    }),
    metadata: t.field({
      type: 'JSONObject',
      ...operatorsOnly(),
      resolve: ({ metadata }) => (isJsonObject(metadata) ? metadata : {}),
    }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When a human was asked for.' }),
    acceptedAt: t.expose('acceptedAt', { type: 'DateTime', nullable: true, description: 'When a human came.' }),
    endedAt: t.expose('endedAt', { type: 'DateTime', nullable: true, description: 'When it was over.' }),
  }),
});
