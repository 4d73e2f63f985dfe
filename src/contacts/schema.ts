import { visibleTo } from '../access/visibility.ts';
import { builder } from '../graphql/builder.ts';
import { operatorsOnly } from '../graphql/operators-only.ts';
import { isJsonObject } from '../json.ts';

builder.prismaNode('Contact', {
  description: 'An end user.',
  id: { field: 'id', description: 'Of this object, and of no other of any type.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).contact }),
  fields: (t) => ({
    externalId: t.exposeString('externalId', {
      nullable: true,
      description: "The person's id in the caller's own system, unique in the organization.",
    }),
    displayName: t.exposeString('displayName', { nullable: true, description: 'As shown beside their messages.' }),
    avatarUrl: t.expose('avatarUrl', { type: 'URL', nullable: true, description: 'A picture of the person.' }),
    email: t.exposeString('email', { nullable: true, description: 'Where the person can be written to.' }),
    metadata: t.field({
      type: 'JSONObject',
      ...operatorsOnly(),
      resolve: ({ metadata }) => (isJsonObject(metadata) ? metadata : {}),
    }),
  }),
});
