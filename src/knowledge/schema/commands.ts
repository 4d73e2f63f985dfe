import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId } from '../../ids.ts';
import { createCorpus, deleteArticle, deleteCorpus, upsertArticle } from '../corpora.ts';
import { ArticleRef } from './article.ts';
import { CorpusRef } from './corpus.ts';

const corpusIdDescription = 'ID of the corpus, `corpus_…`.';

const CreateCorpusInput = builder.inputType('CreateCorpusInput', {
  description: 'The corpus to create.',
  fields: (t) => ({ name: t.string({ required: true, description: 'For operators. 1 character to 1 KiB.' }) }),
});

const CreateCorpusPayload = builder.objectRef<{ corpusId: string }>('CreateCorpusPayload').implement({
  description: 'The new corpus.',
  fields: (t) => ({
    corpus: t.prismaField({
      type: CorpusRef,
      description: 'The new corpus. It has no articles yet.',
      resolve: (query, { corpusId }, _args, { services }) =>
        services.prisma.corpus.findUniqueOrThrow({ ...query, where: { id: corpusId } }),
    }),
  }),
});

builder.mutationField('createCorpus', (t) =>
  t.field({
    type: CreateCorpusPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Creates a corpus. Do not repeat blindly: each call creates another one.',
    errors: {
      types: [InvalidInputError],
      union: { name: 'CreateCorpusResult', description: 'The result of `createCorpus`.' },
    },
    args: { input: t.arg({ type: CreateCorpusInput, required: true, description: 'The corpus to create.' }) },
    resolve: (_root, { input }, { services, viewer }) => createCorpus(services, viewer, input),
  }),
);

const DeleteCorpusInput = builder.inputType('DeleteCorpusInput', {
  description: 'The corpus to delete.',
  fields: (t) => ({ corpusId: t.id({ required: true, description: corpusIdDescription }) }),
});

const DeleteCorpusPayload = builder.objectRef<{ corpusId: string }>('DeleteCorpusPayload').implement({
  description: 'The corpus was deleted.',
  fields: (t) => ({
    deletedCorpusId: t.id({
      description: 'ID of the deleted corpus, for removing it from caches.',
      resolve: ({ corpusId }) => encodeId('Corpus', corpusId),
    }),
  }),
});

builder.mutationField('deleteCorpus', (t) =>
  t.field({
    type: DeleteCorpusPayload,
    nullable: true,
    authScopes: { write: true },
    description:
      'Deletes the corpus with its articles. Agents that consulted it then consult none. Conversations that consulted it then ' +
      'consult the corpus of their agent.',
    errors: {
      types: [NotFoundError],
      union: { name: 'DeleteCorpusResult', description: 'The result of `deleteCorpus`.' },
    },
    args: { input: t.arg({ type: DeleteCorpusInput, required: true, description: 'The corpus to delete.' }) },
    resolve: (_root, { input }, { services, viewer }) => deleteCorpus(services, viewer, input),
  }),
);

const UpsertArticleInput = builder.inputType('UpsertArticleInput', {
  description: 'The whole article. A field left out is empty, even if the article had it before.',
  fields: (t) => ({
    corpusId: t.id({ required: true, description: corpusIdDescription }),
    slug: t.string({
      required: true,
      description: 'Unique name within the corpus, for example its path. 1 to 512 bytes.',
    }),
    title: t.string({ required: true, description: 'Title of the article. 1 character to 1 KiB.' }),
    body: t.string({
      required: true,
      description:
        'The text in Markdown, 1 character to 1 MiB, with at most 2,000 sections. An answer is one section or a part of one, so ' +
        'write each section so that it can be understood by itself.',
    }),
    url: t.field({
      type: 'URL',
      description: 'Where people can read the article. `http:` or `https:`, at most 2 KiB.',
    }),
    tags: t.stringList({
      description: 'A search can be limited to articles with given tags. At most 100, of 1 to 100 bytes each.',
    }),
    questions: t.stringList({
      description:
        'Questions that the article answers, in the words people use, not in those of the article. A search finds the article ' +
        'by its question that is most like the one asked. Ten to twenty work best. At most 100, of 1 character to 1 KiB each.',
    }),
  }),
});

const UpsertArticlePayload = builder
  .objectRef<{ articleId: string; created: boolean }>('UpsertArticlePayload')
  .implement({
    description: 'The article as written. Searches find it from now on.',
    fields: (t) => ({
      article: t.prismaField({
        type: ArticleRef,
        nullable: true,
        description: 'The current article. It may include later changes. Null if it has been deleted meanwhile.',
        resolve: (query, { articleId }, _args, { services }) =>
          services.prisma.article.findUnique({ ...query, where: { id: articleId } }),
      }),
      created: t.exposeBoolean('created', {
        description: 'Whether the article is new: the corpus had none with this slug.',
      }),
    }),
  });

builder.mutationField('upsertArticle', (t) =>
  t.field({
    type: UpsertArticlePayload,
    nullable: true,
    authScopes: { write: true },
    description:
      'Adds an article to a corpus, or replaces the one with the same slug. A replaced article keeps its ID.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'UpsertArticleResult', description: 'The result of `upsertArticle`.' },
    },
    args: { input: t.arg({ type: UpsertArticleInput, required: true, description: 'The article to write.' }) },
    resolve: (_root, { input }, { services, viewer }) => upsertArticle(services, viewer, input),
  }),
);

const DeleteArticleInput = builder.inputType('DeleteArticleInput', {
  description: 'The article to delete.',
  fields: (t) => ({ articleId: t.id({ required: true, description: 'ID of the article, `article_…`.' }) }),
});

const DeleteArticlePayload = builder.objectRef<{ articleId: string }>('DeleteArticlePayload').implement({
  description: 'The article was deleted.',
  fields: (t) => ({
    deletedArticleId: t.id({
      description: 'ID of the deleted article, for removing it from caches.',
      resolve: ({ articleId }) => encodeId('Article', articleId),
    }),
  }),
});

builder.mutationField('deleteArticle', (t) =>
  t.field({
    type: DeleteArticlePayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Deletes the article. Searches no longer find it.',
    errors: {
      types: [NotFoundError],
      union: { name: 'DeleteArticleResult', description: 'The result of `deleteArticle`.' },
    },
    args: { input: t.arg({ type: DeleteArticleInput, required: true, description: 'The article to delete.' }) },
    resolve: (_root, { input }, { services, viewer }) => deleteArticle(services, viewer, input),
  }),
);
