import { visibleTo } from '../access/visibility.ts';
import { InboxChannel } from '../generated/prisma/enums.ts';
import { builder } from '../graphql/builder.ts';

const InboxChannelRef = builder.enumType('InboxChannel', {
  description: 'The kind of channel.',
  values: {
    [InboxChannel.WEB_CHAT]: { description: 'A chat on a web page or in an app.' },
    [InboxChannel.EMAIL]: { description: 'Email.' },
    [InboxChannel.API]: { description: 'A program.' },
    [InboxChannel.OTHER]: { description: 'Anything else.' },
  } as const,
});

builder.prismaNode('Inbox', {
  description: 'A channel through which conversations arrive.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).inbox }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the inbox.' }),
    channel: t.expose('channel', { type: InboxChannelRef, description: 'The kind of channel.' }),
    agent: t.relation('agent', {
      nullable: true,
      description: 'The agent that answers conversations of this inbox that name no agent.',
    }),
  }),
});
