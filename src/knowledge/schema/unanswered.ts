import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleTo } from '../../access/visibility.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import type { UnansweredQuestion } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { decodeId, encodeId } from '../../ids.ts';
import { answerWithArticle, MAX_ANSWERED } from '../answer-with-article.ts';
import { MAX_UNANSWERED } from '../unanswered.ts';
import { ArticleRef } from './article.ts';
import { CorpusRef } from './corpus.ts';

const byCount = new Keyset({ askedCount: 'integer', id: 'uuid' });

const UnansweredQuestionRef = builder.prismaNode('UnansweredQuestion', {
  description:
    'What an agent of the knowledge runtime was asked and had no answer to. Questions that are alike are one.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, corpus: visibleTo(viewer).corpus }),
  fields: (t) => ({
    corpus: t.relation('corpus', { type: CorpusRef, nullable: true, description: 'The corpus that has no answer.' }),
    text: t.exposeString('text', { description: 'As it was first asked. At most 1 KiB.' }),
    askedCount: t.exposeInt('askedCount', { description: 'How often it, or a question like it, was asked.' }),
    firstAskedAt: t.expose('firstAskedAt', { type: 'DateTime', description: 'When it was first asked.' }),
    lastAskedAt: t.expose('lastAskedAt', { type: 'DateTime', description: 'When it was last asked.' }),
  }),
});

builder.queryField('unansweredQuestions', (t) =>
  t.connection(
    {
      type: UnansweredQuestionRef,
      authScopes: { read: true },
      description:
        'What agents of the knowledge runtime were asked and had no answer to, the most frequent first. An organization keeps ' +
        `${MAX_UNANSWERED.toLocaleString('en')}; what was asked longest ago goes first. Make them questions of an article with ` +
        '`answerWithArticle`.',
      args: { corpusId: t.arg.id({ description: 'Only those asked of this corpus, `corpus_…`; left out, of all.' }) },
      resolve: (_root, { corpusId, ...args }, context, info) =>
        keysetPage(
          args,
          byCount,
          (row: UnansweredQuestion) => row,
          ({ after, before, limit, inverted }) =>
            context.services.prisma.unansweredQuestion.findMany({
              ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
              where: {
                organizationId: context.viewer.organizationId,
                corpus: visibleTo(context.viewer).corpus,
                ...(corpusId != null && {
                  corpusId: { in: [decodeId('Corpus', corpusId)].filter((id) => id !== null) },
                }),
                // The most frequent first: the key falls.
                AND: byCount.between({ after: before, before: after }),
              },
              orderBy: byCount.orderOf({ inverted: !inverted }),
              take: limit,
            }),
        ),
    },
    { name: 'UnansweredQuestionConnection', description: 'A page of questions that have no answer.' },
    { name: 'UnansweredQuestionEdge', description: 'One of a page.' },
  ),
);

const AnswerWithArticleInput = builder.inputType('AnswerWithArticleInput', {
  description: 'The article, and what it answers.',
  fields: (t) => ({
    articleId: t.id({ required: true, description: 'The article that answers them, `article_…`.' }),
    unansweredQuestionIds: t.idList({
      required: true,
      description: `What it answers, \`unanswered_…\`: 1 to ${MAX_ANSWERED}, all asked of the article's corpus.`,
    }),
  }),
});

const AnswerWithArticlePayload = builder
  .objectRef<{ articleId: string; answeredIds: string[] }>('AnswerWithArticlePayload')
  .implement({
    description: 'The article answers them from now on.',
    fields: (t) => ({
      article: t.prismaField({
        type: ArticleRef,
        nullable: true,
        description: 'As it is now, which may be after later changes; null when it has been deleted meanwhile.',
        resolve: (query, { articleId }, _args, { services }) =>
          services.prisma.article.findUnique({ ...query, where: { id: articleId } }),
      }),
      deletedUnansweredQuestionIds: t.idList({
        description: 'The questions that are off the list, to take them out of caches.',
        resolve: ({ answeredIds }) => answeredIds.map((id) => encodeId('UnansweredQuestion', id)),
      }),
    }),
  });

builder.mutationField('answerWithArticle', (t) =>
  t.field({
    type: AnswerWithArticlePayload,
    nullable: true,
    authScopes: { write: true },
    description:
      'Makes questions that had no answer questions of the article, so that searches find it by them, and takes them off the ' +
      'list of `unansweredQuestions`. All of them, or none.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'AnswerWithArticleResult', description: 'The result of `answerWithArticle`.' },
    },
    args: {
      input: t.arg({ type: AnswerWithArticleInput, required: true, description: 'The article and the questions.' }),
    },
    resolve: (_root, { input }, { services, viewer }) => answerWithArticle(services, viewer, input),
  }),
);
