import { visibleTo } from '../access/visibility.ts';
import { InboxChannel } from '../generated/prisma/enums.ts';
import { builder } from '../graphql/builder.ts';

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
