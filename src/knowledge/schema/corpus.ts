import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleTo } from '../../access/visibility.ts';
import type { Article } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { decodePageCursor, encodePageCursor, keysetPage } from '../../graphql/connection.ts';
import { ArticleRef } from './article.ts';

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
            ({ slug }: Article) => encodePageCursor(slug),
            ({ after, before, limit, inverted }) => {
              const beyond = (cursor: string | undefined, side: 'gt' | 'lt') =>
                cursor === undefined ? [] : [{ slug: { [side]: decodePageCursor(cursor, 'text')[0] } }];
              return context.services.prisma.article.findMany({
                ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
                where: {
                  corpusId: id,
                  ...(tags && { tags: { hasSome: tags } }),
                  AND: [...beyond(after, 'gt'), ...beyond(before, 'lt')],
                },
                orderBy: { slug: inverted ? 'desc' : 'asc' },
                take: limit,
              });
            },
          ),
      },
      { name: 'ArticleConnection', description: 'A page of articles.' },
      { name: 'ArticleEdge', description: 'One of a page.' },
    ),
  }),
});
