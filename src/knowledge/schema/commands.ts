import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId } from '../../ids.ts';
import { createCorpus, deleteArticle, deleteCorpus, upsertArticle } from '../corpora.ts';
import { ArticleRef } from './article.ts';
import { CorpusRef } from './corpus.ts';

const corpusIdDescription = 'Which corpus, `corpus_…`.';

const CreateCorpusInput = builder.inputType('CreateCorpusInput', {
  description: 'The corpus to make.',
  fields: (t) => ({ name: t.string({ required: true, description: 'For operators. 1 character to 1 KiB.' }) }),
});

const CreateCorpusPayload = builder.objectRef<{ corpusId: string }>('CreateCorpusPayload').implement({
  description: 'The corpus, made.',
  fields: (t) => ({
    corpus: t.prismaField({
      type: CorpusRef,
      description: 'Without articles.',
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
    description: 'Makes a corpus. Not harmless to repeat: each call makes one.',
    errors: {
      types: [InvalidInputError],
      union: { name: 'CreateCorpusResult', description: 'What `createCorpus` comes to.' },
    },
    args: { input: t.arg({ type: CreateCorpusInput, required: true, description: 'The corpus to make.' }) },
    resolve: (_root, { input }, { services, viewer }) => createCorpus(services, viewer, input),
  }),
);

const DeleteCorpusInput = builder.inputType('DeleteCorpusInput', {
  description: 'The corpus to delete.',
  fields: (t) => ({ corpusId: t.id({ required: true, description: corpusIdDescription }) }),
});

const DeleteCorpusPayload = builder.objectRef<{ corpusId: string }>('DeleteCorpusPayload').implement({
  description: 'The corpus is gone.',
  fields: (t) => ({
    deletedCorpusId: t.id({
      description: 'Its id, to take it out of caches.',
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
      'Deletes the corpus with its articles. Agents that consulted it consult none from then on, and conversations that did ' +
      'consult that of their agent.',
    errors: {
      types: [NotFoundError],
      union: { name: 'DeleteCorpusResult', description: 'What `deleteCorpus` comes to.' },
    },
    args: { input: t.arg({ type: DeleteCorpusInput, required: true, description: 'Which one.' }) },
    resolve: (_root, { input }, { services, viewer }) => deleteCorpus(services, viewer, input),
  }),
);

const UpsertArticleInput = builder.inputType('UpsertArticleInput', {
  description: 'The whole article: what is left out, it does not have.',
  fields: (t) => ({
    corpusId: t.id({ required: true, description: corpusIdDescription }),
    slug: t.string({
      required: true,
      description: 'Its name within the corpus, for instance its path. 1 to 512 bytes.',
    }),
    title: t.string({ required: true, description: 'What it is about. 1 character to 1 KiB.' }),
    body: t.string({
      required: true,
      description:
        'Markdown, 1 character to 1 MiB, with at most 2,000 sections. An answer is one section or a part of it, so each is best ' +
        'written to be understood by itself.',
    }),
    url: t.field({ type: 'URL', description: 'Where people can read it. `http:` or `https:`, at most 2 KiB.' }),
    tags: t.stringList({ description: 'By which a search can be narrowed. At most 100, of 1 to 100 bytes each.' }),
    questions: t.stringList({
      description:
        'What people ask that it answers, in their words and not in those of the article: a search finds the article by how ' +
        'much one of them is like what is asked. Ten or twenty help most. At most 100, of 1 character to 1 KiB each.',
    }),
  }),
});

const UpsertArticlePayload = builder
  .objectRef<{ articleId: string; created: boolean }>('UpsertArticlePayload')
  .implement({
    description: 'The article, written. Searches find it from now on.',
    fields: (t) => ({
      article: t.prismaField({
        type: ArticleRef,
        nullable: true,
        description: 'As it is now, which may be after later changes; null when it has been deleted meanwhile.',
        resolve: (query, { articleId }, _args, { services }) =>
          services.prisma.article.findUnique({ ...query, where: { id: articleId } }),
      }),
      created: t.exposeBoolean('created', { description: 'Whether the corpus had no article of this slug.' }),
    }),
  });

builder.mutationField('upsertArticle', (t) =>
  t.field({
    type: UpsertArticlePayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Adds the article to the corpus, or replaces the one that has its slug, which keeps its id.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'UpsertArticleResult', description: 'What `upsertArticle` comes to.' },
    },
    args: { input: t.arg({ type: UpsertArticleInput, required: true, description: 'The article.' }) },
    resolve: (_root, { input }, { services, viewer }) => upsertArticle(services, viewer, input),
  }),
);

const DeleteArticleInput = builder.inputType('DeleteArticleInput', {
  description: 'The article to delete.',
  fields: (t) => ({ articleId: t.id({ required: true, description: 'Which article, `article_…`.' }) }),
});

const DeleteArticlePayload = builder.objectRef<{ articleId: string }>('DeleteArticlePayload').implement({
  description: 'The article is gone.',
  fields: (t) => ({
    deletedArticleId: t.id({
      description: 'Its id, to take it out of caches.',
      resolve: ({ articleId }) => encodeId('Article', articleId),
    }),
  }),
});

builder.mutationField('deleteArticle', (t) =>
  t.field({
    type: DeleteArticlePayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Deletes the article. No search finds it from then on.',
    errors: {
      types: [NotFoundError],
      union: { name: 'DeleteArticleResult', description: 'What `deleteArticle` comes to.' },
    },
    args: { input: t.arg({ type: DeleteArticleInput, required: true, description: 'Which one.' }) },
    resolve: (_root, { input }, { services, viewer }) => deleteArticle(services, viewer, input),
  }),
);
