import { visibleTo } from '../access/visibility.ts';
import { InboxChannel } from '../generated/prisma/enums.ts';
import { builder } from '../graphql/builder.ts';
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
      nullable: true,
      description: 'OPERATORS ONLY.',
      resolve: ({ metadata }) => (isJsonObject(metadata) ? metadata : {}),
    }),
  }),
});

const InboxChannelRef = builder.enumType('InboxChannel', {
  description: 'The kind of a channel.',
  values: {
    [InboxChannel.WEB_CHAT]: { description: 'A chat on a web page or in an app.' },
    [InboxChannel.EMAIL]: { description: 'Electronic mail.' },
    [InboxChannel.API]: { description: 'A program.' },
    [InboxChannel.OTHER]: { description: 'Anything else.' },
  } as const,
});

builder.prismaNode('Inbox', {
  description: 'A channel that conversations arrive by.',
  id: { field: 'id', description: 'Of this object, and of no other of any type.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).inbox }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Names it among others.' }),
    channel: t.expose('channel', { type: InboxChannelRef, description: 'Where it leads.' }),
    agent: t.relation('agent', { nullable: true, description: 'Answers conversations that name no agent.' }),
  }),
});
