import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { encodeId } from '../../ids.ts';
import { blockContact, unblockContact } from '../commands/block.ts';
import { createContact } from '../commands/create.ts';
import { mergeContacts } from '../commands/merge.ts';
import { updateContact } from '../commands/update.ts';
import { upsertContact } from '../commands/upsert.ts';
import { ContactRef } from './contact.ts';
import { ContactIdentityInput, descriptions } from './inputs.ts';

const contactIdDescription = 'ID of the contact, `contact_…`.';

/** A payload that holds the contact with this row id. */
function contactPayload(name: string, description: string) {
  return builder.objectRef<{ contactId: string }>(name).implement({
    description,
    fields: (t) => ({
      contact: t.prismaField({
        type: ContactRef,
        description: 'The current contact. It may include later changes.',
        resolve: (query, { contactId: id }, _args, { services }) =>
          services.prisma.contact.findUnique({ ...query, where: { id } }).then(present),
      }),
    }),
  });
}

const CreateContactInput = builder.inputType('CreateContactInput', {
  description: 'No field is required.',
  fields: (t) => ({
    externalId: t.string({ description: descriptions.externalId }),
    displayName: t.string({ description: descriptions.displayName }),
    email: t.string({ description: descriptions.email }),
    avatarUrl: t.field({ type: 'URL', description: descriptions.avatarUrl }),
    metadata: t.field({ type: 'JSONObject', description: 'For operators. At most 64 KiB.' }),
  }),
});

builder.mutationField('createContact', (t) =>
  t.field({
    type: contactPayload('CreateContactPayload', 'The new contact.'),
    nullable: true,
    authScopes: { write: true },
    description: 'Creates a contact. Each call creates another one: to be safe to repeat, use `upsertContact`.',
    errors: {
      types: [InvalidInputError],
      union: { name: 'CreateContactResult', description: 'The result of `createContact`.' },
    },
    args: { input: t.arg({ type: CreateContactInput, required: true, description: 'The contact to create.' }) },
    resolve: (_root, { input }, { services, viewer }) => createContact(services, viewer, input),
  }),
);

const UpdateContactInput = builder.inputType('UpdateContactInput', {
  description: 'A field left out stays unchanged, and null clears it.',
  fields: (t) => ({
    contactId: t.id({ required: true, description: contactIdDescription }),
    externalId: t.string({ description: `${descriptions.externalId} An anonymous person is known from then on.` }),
    displayName: t.string({ description: descriptions.displayName }),
    email: t.string({ description: descriptions.email }),
    avatarUrl: t.field({ type: 'URL', description: descriptions.avatarUrl }),
    metadata: t.field({ type: 'JSONObject', description: descriptions.metadata }),
  }),
});

builder.mutationField('updateContact', (t) =>
  t.field({
    type: contactPayload('UpdateContactPayload', 'The changed contact.'),
    nullable: true,
    authScopes: { write: true },
    description: 'Changes a contact. What they have written keeps the author as it was.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'UpdateContactResult', description: 'The result of `updateContact`.' },
    },
    args: { input: t.arg({ type: UpdateContactInput, required: true, description: 'The changes.' }) },
    resolve: (_root, { input }, { services, viewer }) => updateContact(services, viewer, input),
  }),
);

const UpsertContactPayload = builder
  .objectRef<{ contactId: string; created: boolean }>('UpsertContactPayload')
  .implement({
    description: 'The new or changed contact.',
    fields: (t) => ({
      contact: t.prismaField({
        type: ContactRef,
        description: 'The current contact. It may include later changes.',
        resolve: (query, { contactId: id }, _args, { services }) =>
          services.prisma.contact.findUnique({ ...query, where: { id } }).then(present),
      }),
      created: t.exposeBoolean('created', { description: 'Whether the contact is new.' }),
    }),
  });

builder.mutationField('upsertContact', (t) =>
  t.field({
    type: UpsertContactPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Creates the contact with this external ID, or changes it. Two at once make one contact.',
    errors: {
      types: [InvalidInputError],
      union: { name: 'UpsertContactResult', description: 'The result of `upsertContact`.' },
    },
    args: { input: t.arg({ type: ContactIdentityInput, required: true, description: 'Who it is.' }) },
    resolve: (_root, { input }, { services, viewer }) => upsertContact(services, viewer, input),
  }),
);

const BlockContactInput = builder.inputType('BlockContactInput', {
  description: 'The contact to block.',
  fields: (t) => ({ contactId: t.id({ required: true, description: contactIdDescription }) }),
});

builder.mutationField('blockContact', (t) =>
  t.field({
    type: contactPayload('BlockContactPayload', 'The blocked contact.'),
    nullable: true,
    authScopes: { write: true },
    description:
      'Blocks a person. Every server refuses their client tokens within a second and ends their sockets, streams and waiting ' +
      'requests, and no message of theirs is taken from anybody. Blocking again is harmless.',
    errors: {
      types: [NotFoundError],
      union: { name: 'BlockContactResult', description: 'The result of `blockContact`.' },
    },
    args: { input: t.arg({ type: BlockContactInput, required: true, description: 'The contact to block.' }) },
    resolve: (_root, { input }, { services, viewer }) => blockContact(services, viewer, input),
  }),
);

const UnblockContactInput = builder.inputType('UnblockContactInput', {
  description: 'The contact to unblock.',
  fields: (t) => ({ contactId: t.id({ required: true, description: contactIdDescription }) }),
});

builder.mutationField('unblockContact', (t) =>
  t.field({
    type: contactPayload('UnblockContactPayload', 'The contact, who may write again.'),
    nullable: true,
    authScopes: { write: true },
    description: 'Lets a person write again, with new client tokens. Those that were ended stay ended.',
    errors: {
      types: [NotFoundError],
      union: { name: 'UnblockContactResult', description: 'The result of `unblockContact`.' },
    },
    args: { input: t.arg({ type: UnblockContactInput, required: true, description: 'The contact to unblock.' }) },
    resolve: (_root, { input }, { services, viewer }) => unblockContact(services, viewer, input),
  }),
);

const MergeContactsInput = builder.inputType('MergeContactsInput', {
  description: 'Two contacts that are one person.',
  fields: (t) => ({
    contactId: t.id({ required: true, description: 'The anonymous contact, `contact_…`. It is gone afterwards.' }),
    intoContactId: t.id({ required: true, description: 'The known contact, `contact_…`.' }),
  }),
});

const MergeContactsPayload = builder
  .objectRef<{ contactId: string; mergedContactId: string }>('MergeContactsPayload')
  .implement({
    description: 'The contacts are one.',
    fields: (t) => ({
      contact: t.prismaField({
        type: ContactRef,
        description: 'The current contact. It may include later changes.',
        resolve: (query, { contactId: id }, _args, { services }) =>
          services.prisma.contact.findUnique({ ...query, where: { id } }).then(present),
      }),
      mergedContactId: t.id({
        description: 'ID of the contact that is gone, for removing it from caches.',
        resolve: ({ mergedContactId }) => encodeId('Contact', mergedContactId),
      }),
    }),
  });

builder.mutationField('mergeContacts', (t) =>
  t.field({
    type: MergeContactsPayload,
    nullable: true,
    authScopes: { write: true },
    description:
      'Merges an anonymous contact into a known one: its conversations move, each with a `ConversationUpdated`, and its client ' +
      'tokens end within a second. Messages keep their authors, and what is known of the known contact stays as it is.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'MergeContactsResult', description: 'The result of `mergeContacts`.' },
    },
    args: { input: t.arg({ type: MergeContactsInput, required: true, description: 'Which contacts are one.' }) },
    resolve: (_root, { input }, { services, viewer }) => mergeContacts(services, viewer, input),
  }),
);
