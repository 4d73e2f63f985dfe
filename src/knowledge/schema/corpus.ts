import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleTo } from '../../access/visibility.ts';
import type { Article } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { ArticleRef } from './article.ts';

const bySlug = new Keyset({ slug: 'text' });

export const CorpusRef = builder.prismaNode('Corpus', {
  description: 'Knowledge that an agent consults.',
  id: { field: 'id', description: 'Of this object, and of no other of any type.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).corpus }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'For operators.' }),
    articles: t.connection(
      {
        type: ArticleRef,
        description: 'What it knows, by slug.',
        args: { tags: t.arg.stringList({ description: 'Only articles with at least one of these; left out, all.' }) },
        resolve: ({ id }, { tags, ...args }, context, info) =>
          keysetPage(
            args,
            bySlug,
            (row: Article) => row,
            (slice) =>
              context.services.prisma.article.findMany({
                ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
                where: { corpusId: id, ...(tags && { tags: { hasSome: tags } }), AND: bySlug.between(slice) },
                orderBy: bySlug.orderOf(slice),
                take: slice.limit,
              }),
          ),
      },
      { name: 'ArticleConnection', description: 'A page of articles.' },
      { name: 'ArticleEdge', description: 'One of a page.' },
    ),
  }),
});
