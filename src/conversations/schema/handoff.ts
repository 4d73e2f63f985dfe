import { visibleTo } from '../../access/visibility.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import { isJsonObject } from '../../json.ts';
import { AuthorRef, authorOf } from './message.ts';
import { authorOfOperator } from '../../access/operator-tokens.ts';

export const HandoffStatusRef = builder.enumType('HandoffStatus', {
  description: 'Progress of a handoff.',
  values: {
    WAITING: { description: 'No human has accepted yet.' },
    ACCEPTED: { description: 'A human has taken the conversation.' },
    ENDED: { description: 'The agent answers again, or the conversation has ended.' },
  } as const,
});

export const HandoffRef = builder.prismaNode('Handoff', {
  description: 'A period in which a human answers instead of the agent, from asking for one until the end.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).handoff }),
  fields: (t) => ({
    conversation: t.relation('conversation', {
      description: 'The conversation that is handed off.',
      resolve: (query, { conversationId: id }, _args, { services }) =>
        services.prisma.conversation.findUnique({ ...query, where: { id } }).then(present),
    }),
    status: t.field({
      type: HandoffStatusRef,
      description: 'Progress of the handoff.',
      resolve: ({ acceptedAt, endedAt }) => (endedAt ? 'ENDED' : acceptedAt ? 'ACCEPTED' : 'WAITING'),
    }),
    reason: t.exposeString('reason', operatorsOnly('Null if none was given.')),
    queue: t.exposeString('queue', operatorsOnly('The group of people who should take it.')),
    assignee: t.exposeString('assignee', {
      ...operatorsOnly(
        'The person who has taken it: as a program names them, or the name of the operator at the time.',
      ),
    }),
    operator: t.prismaField({
      type: 'Operator',
      ...operatorsOnly(
        'The operator who has taken it. Null while it waits, or where a program names its own assignee.',
      ),
      resolve: (query, { operatorId: id }, _args, { services }) =>
        id === null ? null : services.prisma.operator.findUnique({ ...query, where: { id } }),
    }),
    waitingSince: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Since when it has waited for a human. Null unless it is waiting.',
      resolve: ({ startedAt, acceptedAt, endedAt }) => (acceptedAt || endedAt ? null : startedAt),
    }),
    author: t.field({
      type: AuthorRef,
      nullable: true,
      description:
        'The human who answers, as in their latest message. Before that the operator who has taken it, or null if it waits or a ' +
        'program names who has.',
      resolve: async ({ conversationId, startedVersion, endedAt, operatorId }, _args, { services }) => {
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
        if (message) return authorOf(message.author);
        if (operatorId === null) return null;
        const operator = await services.prisma.operator.findUnique({ where: { id: operatorId } });
        return operator && authorOfOperator(operator);
      },
    }),
    metadata: t.field({
      type: 'JSONObject',
      ...operatorsOnly(),
      resolve: ({ metadata }) => (isJsonObject(metadata) ? metadata : {}),
    }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When a human was asked for.' }),
    acceptedAt: t.expose('acceptedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When a human took over. Null until then.',
    }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the handoff ended. Null until then.',
    }),
  }),
});
