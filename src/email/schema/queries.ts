import type { Letter } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { decodeId } from '../../ids.ts';
import { LetterDirectionRef, LetterRef, LetterStatusRef } from './letter.ts';

const byId = new Keyset({ id: 'uuid' });

const LetterFilter = builder.inputType('LetterFilter', {
  description: 'A letter must match all fields that are given.',
  fields: (t) => ({
    status: t.field({ type: LetterStatusRef, description: 'How far they have come.' }),
    direction: t.field({ type: LetterDirectionRef, description: 'Which way they go.' }),
    inboxId: t.id({ description: 'The email inbox.' }),
    conversationId: t.id({ description: 'The conversation.' }),
  }),
});

/** A row id that no row has, for ids that name nothing. */
const NOTHING = '00000000-0000-0000-0000-000000000000';

builder.queryField('letters', (t) =>
  t.connection(
    {
      type: LetterRef,
      authScopes: { read: true },
      description: 'The letters of the organization, oldest first. For the newest, ask for `last`.',
      args: { filter: t.arg({ type: LetterFilter, description: 'Only these.' }) },
      resolve: (_root, { filter, ...args }, { services, viewer: { organizationId } }) =>
        keysetPage(
          args,
          byId,
          (row: Letter) => row,
          (slice) =>
            services.prisma.letter.findMany({
              where: {
                organizationId,
                AND: byId.between(slice),
                ...(filter?.status && { status: filter.status }),
                ...(filter?.direction && { direction: filter.direction }),
                ...(filter?.inboxId != null && { inboxId: decodeId('Inbox', filter.inboxId) ?? NOTHING }),
                ...(filter?.conversationId != null && {
                  conversationId: decodeId('Conversation', filter.conversationId) ?? NOTHING,
                }),
              },
              orderBy: byId.orderOf(slice),
              take: slice.limit,
            }),
        ),
    },
    { name: 'LetterConnection', description: 'A page of letters.' },
    { name: 'LetterEdge', description: 'An entry of a page.' },
  ),
);
