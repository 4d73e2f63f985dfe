import { visibleTo } from '../../access/visibility.ts';
import { builder } from '../../graphql/builder.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import { isJsonObject } from '../../json.ts';

export const ContactRef = builder.prismaNode('Contact', {
  description: 'An end user.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).contact }),
  fields: (t) => ({
    externalId: t.exposeString('externalId', {
      nullable: true,
      description: "The person's ID in your own system. Unique in the organization.",
    }),
    displayName: t.exposeString('displayName', {
      nullable: true,
      description: "The person's name, shown with their messages.",
    }),
    avatarUrl: t.expose('avatarUrl', { type: 'URL', nullable: true, description: 'A picture of the person.' }),
    email: t.exposeString('email', { nullable: true, description: "The person's email address." }),
    anonymous: t.exposeBoolean('anonymous', {
      description: 'Whether nobody has said who it is. The first external ID ends that.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the person was first known.' }),
    lastSeenAt: t.expose('lastSeenAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When a visit of this person last began. Null if none has.',
    }),
    blockedAt: t.expose('blockedAt', {
      type: 'DateTime',
      ...operatorsOnly('Since when the person may not write. Null while they may.'),
    }),
    metadata: t.field({
      type: 'JSONObject',
      ...operatorsOnly(),
      resolve: ({ metadata }) => (isJsonObject(metadata) ? metadata : {}),
    }),
  }),
});
