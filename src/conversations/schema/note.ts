import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { addNote } from '../commands/note.ts';
import { IdempotencyMismatchError, VersionConflictError } from '../failures.ts';
import { attachmentsField, AuthorInput, ContentInput, fields } from './inputs.ts';
import { payload, withMessage } from './payloads.ts';

const AddNoteInput = builder.inputType('AddNoteInput', {
  description: 'Only `conversationId` and `content` are required.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    content: t.field({ type: ContentInput, required: true, description: 'What to tell the other operators.' }),
    author: t.field({ type: AuthorInput, description: 'The human who wrote it. Default: your own credential.' }),
    attachments: attachmentsField(t),
    expectedVersion: fields.expectedVersion(t),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

const AddNotePayload = payload('AddNotePayload', 'The committed note.');
withMessage(AddNotePayload, 'The committed note, hidden from end users and agents.', { always: true });

builder.mutationField('addNote', (t) =>
  t.field({
    type: AddNotePayload,
    nullable: true,
    authScopes: { write: true, answer: true },
    description:
      'Adds a message that only operators see: never an agent, never an end user. Allowed while a reply is running and after the end.',
    errors: {
      types: [VersionConflictError, NotFoundError, InvalidInputError, IdempotencyMismatchError],
      union: { name: 'AddNoteResult', description: 'The result of `addNote`.' },
    },
    args: { input: t.arg({ type: AddNoteInput, required: true, description: 'The note to add.' }) },
    resolve: (_root, { input }, { services, viewer }) => addNote(services, viewer, input),
  }),
);
