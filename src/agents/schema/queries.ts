import { queryFromInfo } from '@pothos/plugin-prisma';
import type { Agent } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { decodePageCursor, encodePageCursor, keysetPage } from '../../graphql/connection.ts';
import { decodeId } from '../../ids.ts';
import { AgentRef } from './agent.ts';

builder.queryField('agent', (t) =>
  t.prismaField({
    type: AgentRef,
    nullable: true,
    authScopes: { read: true },
    description: 'One agent; null when it does not exist.',
    args: { id: t.arg.id({ required: true, description: '`agent_…`' }) },
    resolve: (query, _root, args, { services, viewer }) => {
      const id = decodeId('Agent', args.id);
      return id
        ? services.prisma.agent.findUnique({ ...query, where: { id, organizationId: viewer.organizationId } })
        : null;
    },
  }),
);

builder.queryField('agents', (t) =>
  t.connection(
    {
      type: AgentRef,
      authScopes: { read: true },
      description: "The organization's agents by name.",
      resolve: (_root, args, context, info) =>
        keysetPage(
          args,
          ({ name, id }: Agent) => encodePageCursor(name, id),
          ({ after, before, limit, inverted }) => {
            const beyond = (cursor: string | undefined, side: 'gt' | 'lt') => {
              if (cursor === undefined) return [];
              const [name, id] = decodePageCursor(cursor, 'text', 'uuid');
              return [{ OR: [{ name: { [side]: name } }, { name, id: { [side]: id } }] }];
            };
            const way = inverted ? 'desc' : 'asc';
            return context.services.prisma.agent.findMany({
              ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
              where: {
                organizationId: context.viewer.organizationId,
                AND: [...beyond(after, 'gt'), ...beyond(before, 'lt')],
              },
              orderBy: [{ name: way }, { id: way }],
              take: limit,
            });
          },
        ),
    },
    { name: 'AgentConnection', description: 'A page of agents.' },
    { name: 'AgentEdge', description: 'One of a page.' },
  ),
);
