import { builder } from '../../graphql/builder.ts';
import { UserErrorRef } from '../../graphql/user-errors.ts';
import { AgentInUseError } from '../failures.ts';
import { AgentRef } from './agent.ts';

const AgentUseRef = builder.enumType('AgentUse', {
  description: 'Why an agent cannot be deleted.',
  values: {
    CONVERSATIONS: { description: 'It has conversations, possibly ended ones. Delete them first.' },
    INBOXES: { description: 'It is the agent of an inbox.' },
    DEFAULT_AGENT: {
      description: 'It is the default agent of the organization. Make another agent the default first.',
    },
  } as const,
});

builder.objectType(AgentInUseError, {
  name: 'AgentInUseError',
  description: 'The agent is still in use, so it cannot be deleted.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    agent: t.prismaField({
      type: AgentRef,
      description: 'The current agent.',
      resolve: (query, { agentId }, _args, { services }) =>
        services.prisma.agent.findUniqueOrThrow({ ...query, where: { id: agentId } }),
    }),
    usedBy: t.expose('usedBy', {
      type: [AgentUseRef],
      description: 'Everything that uses the agent. At least one entry.',
    }),
  }),
});
