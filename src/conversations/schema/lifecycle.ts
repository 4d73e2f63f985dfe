import { refuseSteering } from '../../access/participation.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId } from '../../ids.ts';
import { deleteConversation } from '../commands/delete.ts';
import { VersionConflictError } from '../failures.ts';
import { updateConversation } from '../commands/update.ts';
import { fields } from './inputs.ts';
import { payload } from './payloads.ts';

const LabelsInput = builder.inputType('LabelsInput', {
  description: 'Labels to add and to remove. Each has at most 100 bytes; a conversation has at most 50.',
  fields: (t) => ({
    add: t.stringList({ description: 'One that is there already is left as it is.' }),
    remove: t.stringList({ description: 'One that is not there is ignored.' }),
  }),
});

const UpdateConversationInput = builder.inputType('UpdateConversationInput', {
  description: 'A field left out stays unchanged.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    title: t.string({ description: 'Null removes the title. At most 1 KiB.' }),
    metadata: t.field({
      type: 'JSONObject',
      description:
        'Merged into the present metadata key by key. Null removes a key (RFC 7396). At most 64 KiB after merging.',
    }),
    searchMetadata: t.field({ type: 'JSONObject', description: 'Replaced as a whole. At most 64 KiB.' }),
    runtimeParameters: t.field({ type: 'JSONObject', description: 'Replaced as a whole.' }),
    labels: t.field({ type: LabelsInput, description: 'Changes of the labels.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const UpdateConversationPayload = payload('UpdateConversationPayload', 'The updated conversation.');

builder.mutationField('updateConversation', (t) =>
  t.field({
    type: UpdateConversationPayload,
    nullable: true,
    authScopes: { write: true, answer: true },
    description:
      'Changes title, labels, metadata, search metadata or runtime parameters. Allowed while a reply is running.',
    errors: {
      types: [VersionConflictError, NotFoundError, InvalidInputError],
      union: { name: 'UpdateConversationResult', description: 'The result of `updateConversation`.' },
    },
    args: { input: t.arg({ type: UpdateConversationInput, required: true, description: 'The changes.' }) },
    resolve: (_root, { input }, { services, viewer }) => {
      refuseSteering(viewer, input, ['searchMetadata', 'runtimeParameters']);
      return updateConversation(services, viewer, input);
    },
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
  description: 'The conversation was deleted.',
  fields: (t) => ({
    deletedConversationId: t.id({
      description: 'ID of the deleted conversation, for removing it from caches.',
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
      union: { name: 'DeleteConversationResult', description: 'The result of `deleteConversation`.' },
    },
    args: {
      input: t.arg({ type: DeleteConversationInput, required: true, description: 'The conversation to delete.' }),
    },
    resolve: (_root, { input }, { services, viewer }) => deleteConversation(services, viewer, input),
  }),
);
