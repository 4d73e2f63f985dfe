import { builder } from '../graphql/builder.ts';

builder.prismaNode('Corpus', {
  description: 'Knowledge that an agent consults.',
  id: { field: 'id' },
  findUnique: (id, { viewer }) => ({ id, organizationId: viewer.organizationId }),
  fields: (t) => ({ name: t.exposeString('name', { description: 'For operators.' }) }),
});
