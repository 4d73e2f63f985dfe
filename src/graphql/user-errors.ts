import { type InputIssueCode, InvalidInputError, NotFoundError, type UserError } from '../errors.ts';
import { builder } from './builder.ts';

/** The interface of all expected failures. */
export const UserErrorRef = builder.interfaceRef<UserError>('UserError').implement({
  description: 'An expected failure. Nothing was written.',
  fields: (t) => ({
    detail: t.exposeString('detail', {
      description:
        'What went wrong, in English, for developers and logs. It is not called `message` because payloads have a `message`, and GraphQL ' +
        'cannot merge the two.',
    }),
  }),
});

builder.objectType(NotFoundError, {
  name: 'NotFoundError',
  description: 'An ID in the input names nothing that you may see.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    path: t.exposeStringList('path', {
      description: 'Path of the ID in the input, for example `["conversationId"]`.',
    }),
  }),
});

const InputIssueCodeRef = builder.enumType('InputIssueCode', {
  description: 'What is wrong with a part of the input. More values may come.',
  values: {
    REQUIRED: { description: 'It is missing or empty.' },
    TOO_LONG: { description: 'A text is too long, or a list has too many entries.' },
    TOO_LARGE: { description: 'A value is too large in bytes, or nested too deeply.' },
    MALFORMED: { description: 'It does not have the required form, or cannot be stored.' },
    NOT_ALLOWED: { description: 'It cannot be given here, now, or with this credential.' },
    NOT_FOUND: { description: 'It names something that does not exist.' },
    OUT_OF_RANGE: { description: 'A number or a time is too small or too large.' },
    DUPLICATE: { description: 'It exists already.' },
    SCHEMA: { description: 'It does not match its JSON Schema.' },
  } satisfies Record<InputIssueCode, object>,
});

const InputIssueRef = builder.objectRef<InvalidInputError['issues'][number]>('InputIssue').implement({
  description: 'One problem in the input.',
  fields: (t) => ({
    path: t.exposeStringList('path', {
      description:
        'Path below `input`, also into JSON values: `["runtimeParameters", "temperature"]`. List indexes are decimal numbers.',
    }),
    code: t.field({
      type: InputIssueCodeRef,
      description: 'What is wrong, for programs. `detail` is for people.',
      resolve: ({ code = 'NOT_ALLOWED' }) => code,
    }),
    detail: t.exposeString('detail', { description: 'What is wrong, and what is allowed.' }),
  }),
});

builder.objectType(InvalidInputError, {
  name: 'InvalidInputError',
  description: 'The input is well formed but not valid.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    issues: t.field({
      type: [InputIssueRef],
      description: 'All problems found: at least one, at most 100.',
      resolve: (error) => error.issues,
    }),
  }),
});
