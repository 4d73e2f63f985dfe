import { visibleTo } from '../../access/visibility.ts';
import { fragmentsOf, MessageRef } from '../../conversations/schema/message.ts';
import { builder } from '../../graphql/builder.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import { decodeId } from '../../ids.ts';
import { isJsonObject, type JsonObject } from '../../json.ts';
import { ArticleRef } from './article.ts';

interface Citation {
  articleId: string | null;
  title: string;
  heading: string | null;
  url: string | null;
}

const CitationRef = builder.objectRef<Citation>('Citation').implement({
  description: 'Where a text comes from, as known when it was written. A value without identity.',
  fields: (t) => ({
    title: t.exposeString('title', { description: 'The title of the article.' }),
    heading: t.exposeString('heading', {
      nullable: true,
      description: 'The headings above the passage, joined by ` › `; null when there are none.',
    }),
    url: t.expose('url', {
      type: 'URL',
      nullable: true,
      description: 'Where people can read it; null when they cannot.',
    }),
    article: t.prismaField({
      type: ArticleRef,
      ...operatorsOnly('The article as it is now; null when it was deleted.'),
      resolve: (query, { articleId }, _args, { services, viewer }) =>
        articleId === null
          ? null
          : services.prisma.article.findUnique({
              ...query,
              where: { id: articleId, corpus: visibleTo(viewer).corpus },
            }),
    }),
  }),
});

builder.prismaObjectField(MessageRef, 'citations', (t) =>
  t.field({
    type: [CitationRef],
    description: 'Where its text comes from, each source once, in the order of the text.',
    resolve: async (message, args, context) => {
      const cited = (await fragmentsOf(message, args, context)).flatMap(({ metadata }) => citationsIn(metadata));
      return [...new Map(cited.map((citation) => [JSON.stringify(citation), citation])).values()];
    },
  }),
);

/** As the runtimes write them into the metadata of a text. */
function citationsIn({ citations }: JsonObject): Citation[] {
  if (!Array.isArray(citations)) return [];
  return citations.filter(isJsonObject).flatMap(({ articleId, title, heading, url }) => {
    if (typeof title !== 'string') return [];
    return [
      {
        articleId: typeof articleId === 'string' ? decodeId('Article', articleId) : null,
        title,
        heading: typeof heading === 'string' && heading !== '' ? heading : null,
        url: typeof url === 'string' && /^https?:/i.test(url) && URL.canParse(url) ? url : null,
      },
    ];
  });
}
