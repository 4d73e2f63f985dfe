import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleTo } from '../../access/visibility.ts';
import type { Article } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { ArticleRef } from './article.ts';

const bySlug = new Keyset({ slug: 'text' });

export const CorpusRef = builder.prismaNode('Corpus', {
  description: 'A collection of articles that an agent consults.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).corpus }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the corpus, for operators.' }),
    articles: t.connection(
      {
        type: ArticleRef,
        description: 'The articles, ordered by slug.',
        args: {
          tags: t.arg.stringList({
            description: 'Return only articles with at least one of these tags. Left out: all articles.',
          }),
        },
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
      { name: 'ArticleEdge', description: 'An entry of a page.' },
    ),
  }),
});
