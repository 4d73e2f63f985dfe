import { builder } from '../graphql/builder.ts';
import type { Viewer } from './viewer.ts';

const ViewerKindRef = builder.enumType('ViewerKind', {
  description: 'The kind of a credential.',
  values: { API_KEY: { description: "An operator's, for servers." } } as const,
});

const ViewerRef = builder.objectRef<Viewer>('Viewer').implement({
  description: 'Who is asking.',
  fields: (t) => ({
    kind: t.expose('kind', { type: ViewerKindRef, description: 'The kind of the credential.' }),
    scopes: t.stringList({ description: 'What the credential allows.', resolve: ({ scopes }) => [...scopes] }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: ViewerRef,
    nullable: true,
    authScopes: { read: true },
    description: 'Who is asking.',
    resolve: (_root, _args, { viewer }) => viewer,
  }),
);
