import { visibleTo } from '../../access/visibility.ts';
import { builder } from '../../graphql/builder.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';

export const ArticleRef = builder.prismaNode('Article', {
  description: 'A text in a corpus. Answers cite it by its ID.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, corpus: visibleTo(viewer).corpus }),
  fields: (t) => ({
    corpus: t.relation('corpus', operatorsOnly('The corpus that the article belongs to.')),
    slug: t.exposeString('slug', {
      description: 'Unique name within the corpus. Writing an article with the same slug updates this one.',
    }),
    title: t.exposeString('title', { description: 'Title of the article.' }),
    body: t.exposeString('body', { description: 'The text in Markdown, without the title.' }),
    url: t.expose('url', {
      type: 'URL',
      nullable: true,
      description: 'Where people can read the article. Null if nowhere.',
    }),
    tags: t.exposeStringList('tags', { description: 'A search can be limited to articles with given tags.' }),
    questions: t.exposeStringList('questions', {
      description:
        'Questions that the article answers, in the words people use. A search finds the article by them. Answers never show them.',
    }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When the article last changed.' }),
  }),
});
