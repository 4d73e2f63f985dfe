import { type InputIssueCode, InvalidInputError, NotFoundError, type UserError } from '../errors.ts';
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

const InputIssueCodeRef = builder.enumType('InputIssueCode', {
  description: 'What is wrong with a part of an input. More may come.',
  values: {
    REQUIRED: { description: 'It is missing or empty.' },
    TOO_LONG: { description: 'A text is too long, or a list has too many entries.' },
    TOO_LARGE: { description: 'A value is too large in bytes, or nested too deeply.' },
    MALFORMED: { description: 'It cannot be read or stored as what it should be.' },
    NOT_ALLOWED: { description: 'It cannot be given here, now, or with this credential.' },
    NOT_FOUND: { description: 'It names something that does not exist.' },
    OUT_OF_RANGE: { description: 'A number or a time is too small or too large.' },
    DUPLICATE: { description: 'It is there already.' },
    SCHEMA: { description: 'It does not match the JSON Schema that holds for it.' },
  } satisfies Record<InputIssueCode, object>,
});

const InputIssueRef = builder.objectRef<InvalidInputError['issues'][number]>('InputIssue').implement({
  description: 'One fault in the input.',
  fields: (t) => ({
    path: t.exposeStringList('path', {
      description:
        'From `input` down, into JSON values too: `["runtimeParameters", "temperature"]`; list indexes in decimal.',
    }),
    code: t.field({
      type: InputIssueCodeRef,
      description: 'What is wrong, for programs; `detail` is for people.',
      resolve: ({ code = 'NOT_ALLOWED' }) => code,
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
