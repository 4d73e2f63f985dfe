import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { UserErrorRef } from '../../graphql/user-errors.ts';
import { OperatorSuspendedError } from '../failures.ts';
import { OperatorRef } from './operator.ts';

builder.objectType(OperatorSuspendedError, {
  name: 'OperatorSuspendedError',
  description: 'The operator is suspended. Reinstate them first.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    operator: t.prismaField({
      type: OperatorRef,
      description: 'The operator.',
      resolve: (query, { operatorId: id }, _args, { services }) =>
        services.prisma.operator.findUnique({ ...query, where: { id } }).then(present),
    }),
  }),
});
