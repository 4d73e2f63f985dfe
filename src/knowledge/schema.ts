import { builder } from '../graphql/builder.ts';

builder.prismaNode('Corpus', {
  description: 'Knowledge that an agent consults.',
  id: { field: 'id', description: 'Of this object, and of no other of any type.' },
  findUnique: (id, { viewer }) => ({ id, organizationId: viewer.organizationId }),
  fields: (t) => ({ name: t.exposeString('name', { description: 'For operators.' }) }),
});
