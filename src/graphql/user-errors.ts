import { InvalidInputError, NotFoundError, type UserError } from '../errors.ts';
import { builder } from './builder.ts';

/** The interface of every expected failure. */
export const UserErrorRef = builder.interfaceRef<UserError>('UserError').implement({
  description: 'An expected failure. Nothing was written.',
  fields: (t) => ({
    detail: t.exposeString('detail', {
      description:
        'What went wrong, in English, for developers and logs. Not called `message`: payloads have a `message`, and GraphQL ' +
        'refuses to merge the two.',
    }),
  }),
});

builder.objectType(NotFoundError, {
  name: 'NotFoundError',
  description: 'An id in the input names nothing that the caller may see.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    path: t.exposeStringList('path', {
      description: 'Where in the input the id stands, for instance `["conversationId"]`.',
    }),
  }),
});

const InputIssueRef = builder.objectRef<InvalidInputError['issues'][number]>('InputIssue').implement({
  description: 'One fault in the input.',
  fields: (t) => ({
    path: t.exposeStringList('path', {
      description:
        'From `input` down, into JSON values too: `["runtimeParameters", "temperature"]`; list indexes in decimal.',
    }),
    detail: t.exposeString('detail', { description: 'What is wrong, and what is allowed.' }),
  }),
});

builder.objectType(InvalidInputError, {
  name: 'InvalidInputError',
  description: 'The input is well formed but not acceptable.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    issues: t.field({
      type: [InputIssueRef],
      description: 'All faults found, at least one, at most 100.',
      resolve: (error) => error.issues,
    }),
  }),
});
