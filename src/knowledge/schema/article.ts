import { visibleTo } from '../../access/visibility.ts';
import { builder } from '../../graphql/builder.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';

export const ArticleRef = builder.prismaNode('Article', {
  description: 'One text of a corpus. An answer cites it by its id.',
  id: { field: 'id', description: 'Of this object, and of no other of any type.' },
  findUnique: (id, { viewer }) => ({ id, corpus: visibleTo(viewer).corpus }),
  fields: (t) => ({
    corpus: t.relation('corpus', operatorsOnly('What it belongs to.')),
    slug: t.exposeString('slug', {
      description: 'Its name within the corpus: who writes it again by this name updates it.',
    }),
    title: t.exposeString('title', { description: 'What it is about.' }),
    body: t.exposeString('body', { description: 'Markdown, without the title.' }),
    url: t.expose('url', {
      type: 'URL',
      nullable: true,
      description: 'Where people can read it; null when they cannot.',
    }),
    tags: t.exposeStringList('tags', { description: 'By which a search can be narrowed.' }),
    questions: t.exposeStringList('questions', {
      description:
        'What people ask that it answers, in their words. A search finds the article by them; no answer shows them.',
    }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
  }),
});
