import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleTo } from '../../access/visibility.ts';
import { ConversationRef } from '../../conversations/schema/conversation.ts';
import { MessageRef } from '../../conversations/schema/message.ts';
import type { Attachment } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { AttachmentRef } from './attachment.ts';

builder.prismaObjectField(MessageRef, 'attachments', (t) =>
  t.field({
    type: [AttachmentRef],
    description: 'Its files, in the order in which they were given.',
    extensions: { weight: 5, entries: 10 },
    resolve: ({ id }, _args, { loaders }) => loaders.attachments.load(id),
  }),
);

const byPlace = new Keyset({ position: 'integer', place: 'integer', id: 'uuid' });

builder.prismaObjectField(ConversationRef, 'attachments', (t) =>
  t.connection(
    {
      type: AttachmentRef,
      description: 'The files of its messages, in the order of the messages.',
      resolve: ({ id }, args, context, info) =>
        keysetPage(
          args,
          byPlace,
          (row: Attachment) => row,
          (slice) =>
            context.services.prisma.attachment.findMany({
              ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
              where: { conversationId: id, AND: [visibleTo(context.viewer).attachment, ...byPlace.between(slice)] },
              orderBy: byPlace.orderOf(slice),
              take: slice.limit,
            }),
        ),
    },
    { name: 'AttachmentConnection', description: 'A page of attachments.' },
    { name: 'AttachmentEdge', description: 'An entry of a page.' },
  ),
);
