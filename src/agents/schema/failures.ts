import { builder } from '../../graphql/builder.ts';
import { UserErrorRef } from '../../graphql/user-errors.ts';
import { AgentInUseError } from '../failures.ts';
import { AgentRef } from './agent.ts';

const AgentUseRef = builder.enumType('AgentUse', {
  description: 'What keeps an agent from being deleted.',
  values: {
    CONVERSATIONS: { description: 'It has conversations, ended ones included: delete them first.' },
    INBOXES: { description: 'It answers what arrives by an inbox.' },
    DEFAULT_AGENT: { description: 'It is the default agent of the organization: make another one the default.' },
  } as const,
});

builder.objectType(AgentInUseError, {
  name: 'AgentInUseError',
  description: 'The agent is needed, so it cannot be deleted.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    agent: t.prismaField({
      type: AgentRef,
      description: 'As it is now.',
      resolve: (query, { agentId }, _args, { services }) =>
        services.prisma.agent.findUniqueOrThrow({ ...query, where: { id: agentId } }),
    }),
    usedBy: t.expose('usedBy', { type: [AgentUseRef], description: 'All that needs it, at least one.' }),
  }),
});
