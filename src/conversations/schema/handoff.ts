import { visibleTo } from '../../access/visibility.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { isJsonObject } from '../../json.ts';

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
    reason: t.exposeString('reason', { nullable: true, description: 'OPERATORS ONLY. Null when none was given.' }),
    queue: t.exposeString('queue', { nullable: true, description: 'Who should take it.' }),
    assignee: t.exposeString('assignee', { nullable: true, description: 'Who has taken it.' }),
    metadata: t.field({
      type: 'JSONObject',
      nullable: true,
      description: 'OPERATORS ONLY.',
      resolve: ({ metadata }) => (isJsonObject(metadata) ? metadata : {}),
    }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When a human was asked for.' }),
    acceptedAt: t.expose('acceptedAt', { type: 'DateTime', nullable: true, description: 'When a human came.' }),
    endedAt: t.expose('endedAt', { type: 'DateTime', nullable: true, description: 'When it was over.' }),
  }),
});
