import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleTo } from '../../access/visibility.ts';
import type { Article, Corpus } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { asBadInput } from '../../graphql/errors.ts';
import { decodeId } from '../../ids.ts';
import { MAX_PASSAGES } from '../search.ts';
import { searchCorpus } from '../search-corpus.ts';
import { ArticleRef } from './article.ts';
import { CorpusRef } from './corpus.ts';

builder.queryField('corpus', (t) =>
  t.prismaField({
    type: CorpusRef,
    nullable: true,
    authScopes: { read: true },
    description: 'One corpus. Null if it does not exist.',
    args: { id: t.arg.id({ required: true, description: 'ID of the corpus, `corpus_…`.' }) },
    resolve: (query, _root, args, { services, viewer }) => {
      const id = decodeId('Corpus', args.id);
      return id ? services.prisma.corpus.findUnique({ ...query, where: { id, AND: visibleTo(viewer).corpus } }) : null;
    },
  }),
);

const byName = new Keyset({ name: 'text', id: 'uuid' });

builder.queryField('corpora', (t) =>
  t.connection(
    {
      type: CorpusRef,
      authScopes: { read: true },
      description: "The organization's corpora, ordered by name.",
      resolve: (_root, args, context, info) =>
        keysetPage(
          args,
          byName,
          (row: Corpus) => row,
          (slice) =>
            context.services.prisma.corpus.findMany({
              ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
              where: { ...visibleTo(context.viewer).corpus, AND: byName.between(slice) },
              orderBy: byName.orderOf(slice),
              take: slice.limit,
            }),
        ),
    },
    { name: 'CorpusConnection', description: 'A page of corpora.' },
    { name: 'CorpusEdge', description: 'An entry of a page.' },
  ),
);

interface PassageOfArticle {
  article: Article;
  heading: string;
  text: string;
  score: number;
}

const KnowledgePassageRef = builder.objectRef<PassageOfArticle>('KnowledgePassage').implement({
  description: 'A part of an article that can answer a question by itself.',
  fields: (t) => ({
    article: t.field({
      type: ArticleRef,
      description: 'The article that the passage is from.',
      resolve: ({ article }) => article,
    }),
    heading: t.exposeString('heading', {
      description: 'The headings above the passage, joined by ` › `. Empty before the first heading.',
    }),
    text: t.exposeString('text', { description: 'The text in Markdown.' }),
    score: t.exposeFloat('score', {
      description: 'From 0 to 1. Compare scores only within one search: how they are computed may change.',
    }),
  }),
});

builder.queryField('searchKnowledge', (t) =>
  t.field({
    type: [KnowledgePassageRef],
    nullable: true,
    authScopes: { read: true },
    description:
      'What an agent would find in a corpus: the passages that answer the question, best first. Empty if the corpus has no ' +
      'answer. Null if the corpus does not exist.',
    args: {
      corpusId: t.arg.id({ required: true, description: 'ID of the corpus, `corpus_…`.' }),
      query: t.arg.string({
        required: true,
        description:
          'A question in English as people ask it. A misspelt word is read as the nearest word in the corpus. The first 1,000 ' +
          'characters count, and in them the first 50 words that carry meaning.',
      }),
      tags: t.arg.stringList({
        description: 'Search only articles with at least one of these tags. Left out or empty: all articles.',
      }),
      first: t.arg.int({ required: true, defaultValue: 5, description: `Return the first N, 1 to ${MAX_PASSAGES}.` }),
    },
    resolve: async (_root, args, context, info) => {
      const { services, viewer } = context;
      const passages = await searchCorpus(services, viewer, args).catch(asBadInput);
      if (!passages) return null;
      const articles = await services.prisma.article.findMany({
        ...queryFromInfo({ context, info, path: ['article'] }),
        where: { id: { in: passages.map(({ articleId }) => articleId) } },
      });
      const byId = new Map(articles.map((article) => [article.id, article]));
      return passages.flatMap(({ articleId, heading, text, score }) => {
        const article = byId.get(articleId);
        return article ? [{ article, heading, text, score }] : [];
      });
    },
  }),
);
