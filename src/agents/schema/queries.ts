import { queryFromInfo } from '@pothos/plugin-prisma';
import type { Agent } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { decodeId } from '../../ids.ts';
import { AgentRef } from './agent.ts';

builder.queryField('agent', (t) =>
  t.prismaField({
    type: AgentRef,
    nullable: true,
    authScopes: { read: true },
    description: 'One agent. Null if it does not exist.',
    args: { id: t.arg.id({ required: true, description: 'ID of the agent, `agent_…`.' }) },
    resolve: (query, _root, args, { services, viewer }) => {
      const id = decodeId('Agent', args.id);
      return id
        ? services.prisma.agent.findUnique({ ...query, where: { id, organizationId: viewer.organizationId } })
        : null;
    },
  }),
);

const byName = new Keyset({ name: 'text', id: 'uuid' });

builder.queryField('agents', (t) =>
  t.connection(
    {
      type: AgentRef,
      authScopes: { read: true },
      description: "The organization's agents, ordered by name.",
      resolve: (_root, args, context, info) =>
        keysetPage(
          args,
          byName,
          (row: Agent) => row,
          (slice) =>
            context.services.prisma.agent.findMany({
              ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
              where: { organizationId: context.viewer.organizationId, AND: byName.between(slice) },
              orderBy: byName.orderOf(slice),
              take: slice.limit,
            }),
        ),
    },
    { name: 'AgentConnection', description: 'A page of agents.' },
    { name: 'AgentEdge', description: 'An entry of a page.' },
  ),
);
