import type { Operator } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { decodeId } from '../../ids.ts';
import { OperatorRef } from './operator.ts';

builder.queryField('operator', (t) =>
  t.prismaField({
    type: OperatorRef,
    nullable: true,
    authScopes: { read: true },
    description: 'One operator. Null if they do not exist.',
    args: { id: t.arg.id({ required: true, description: 'ID of the operator, `oper_…`.' }) },
    resolve: (query, _root, args, { services, viewer: { organizationId } }) => {
      const id = decodeId('Operator', args.id);
      return id ? services.prisma.operator.findFirst({ ...query, where: { id, organizationId } }) : null;
    },
  }),
);

const byAge = new Keyset({ createdAt: 'time', id: 'uuid' });

builder.queryField('operators', (t) =>
  t.connection(
    {
      type: OperatorRef,
      authScopes: { read: true },
      description: "The organization's operators, oldest first, suspended ones included.",
      resolve: (_root, args, { services, viewer: { organizationId } }) =>
        keysetPage(
          args,
          byAge,
          (row: Operator) => row,
          (slice) =>
            services.prisma.operator.findMany({
              where: { organizationId, AND: byAge.between(slice) },
              orderBy: byAge.orderOf(slice),
              take: slice.limit,
            }),
        ),
    },
    { name: 'OperatorConnection', description: 'A page of operators.' },
    { name: 'OperatorEdge', description: 'An entry of a page.' },
  ),
);
