import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId } from '../../ids.ts';
import { deleteConversation } from '../commands/delete.ts';
import { VersionConflictError } from '../failures.ts';
import { updateConversation } from '../commands/update.ts';
import { fields } from './inputs.ts';
import { payload } from './payloads.ts';

const UpdateConversationInput = builder.inputType('UpdateConversationInput', {
  description: 'A field left out stays unchanged.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    title: t.string({ description: 'Null removes it. At most 1 KiB.' }),
    metadata: t.field({
      type: 'JSONObject',
      description: 'Merged key by key; null removes a key (RFC 7396). At most 64 KiB once merged.',
    }),
    searchMetadata: t.field({ type: 'JSONObject', description: 'Replaced as a whole. At most 64 KiB.' }),
    runtimeParameters: t.field({ type: 'JSONObject', description: 'Replaced as a whole.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const UpdateConversationPayload = payload('UpdateConversationPayload', 'The conversation, updated.');

builder.mutationField('updateConversation', (t) =>
  t.field({
    type: UpdateConversationPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Changes title, metadata, search metadata or runtime parameters; also while a reply runs.',
    errors: {
      types: [VersionConflictError, NotFoundError, InvalidInputError],
      union: { name: 'UpdateConversationResult', description: 'What `updateConversation` comes to.' },
    },
    args: { input: t.arg({ type: UpdateConversationInput, required: true, description: 'What is to change.' }) },
    resolve: (_root, { input }, { services, viewer }) => updateConversation(services, viewer, input),
  }),
);

const DeleteConversationInput = builder.inputType('DeleteConversationInput', {
  description: 'The conversation to delete.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const DeleteConversationPayload = builder.objectRef<{ conversationId: string }>('DeleteConversationPayload').implement({
  description: 'The conversation is gone.',
  fields: (t) => ({
    deletedConversationId: t.id({
      description: 'Its id, to take it out of caches.',
      resolve: ({ conversationId }) => encodeId('Conversation', conversationId),
    }),
  }),
});

builder.mutationField('deleteConversation', (t) =>
  t.field({
    type: DeleteConversationPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Deletes the conversation with everything in it.',
    errors: {
      types: [VersionConflictError, NotFoundError, InvalidInputError],
      union: { name: 'DeleteConversationResult', description: 'What `deleteConversation` comes to.' },
    },
    args: { input: t.arg({ type: DeleteConversationInput, required: true, description: 'Which one.' }) },
    resolve: (_root, { input }, { services, viewer }) => deleteConversation(services, viewer, input),
  }),
);
