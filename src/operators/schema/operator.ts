import { visibleTo } from '../../access/visibility.ts';
import { Availability, OperatorRole } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';

export const OperatorRoleRef = builder.enumType('OperatorRole', {
  description: 'What an operator may do.',
  values: {
    [OperatorRole.AGENT]: {
      description: 'Read everything, take conversations over and answer in them, hand them on and end them.',
    },
    [OperatorRole.ADMIN]: { description: 'Also everything that an API key with all scopes may do.' },
  } as const,
});

export const AvailabilityRef = builder.enumType('Availability', {
  description: 'Whether an operator takes conversations now. They say so themselves.',
  values: {
    [Availability.ONLINE]: { description: 'They take conversations.' },
    [Availability.AWAY]: { description: 'They will be back.' },
    [Availability.OFFLINE]: { description: 'They are not there.' },
  } as const,
});

export const OperatorRef = builder.prismaNode('Operator', {
  description: 'A human who answers: an author with a name, a credential and work of their own.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).operator }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The name shown with their messages.' }),
    email: t.exposeString('email', {
      nullable: true,
      description: 'Their email address. Each belongs to one operator of the organization.',
    }),
    avatarUrl: t.expose('avatarUrl', {
      type: 'URL',
      nullable: true,
      description: 'A picture, shown with their messages.',
    }),
    role: t.expose('role', { type: OperatorRoleRef, description: 'What they may do.' }),
    availability: t.expose('availability', {
      type: AvailabilityRef,
      description: 'Whether they take conversations now.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the operator was created.' }),
    suspendedAt: t.expose('suspendedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Since when they may not sign in. Null while they may.',
    }),
  }),
});
