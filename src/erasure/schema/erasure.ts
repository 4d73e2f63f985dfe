import { InvalidInputError } from '../../errors.ts';
import { ActorRef } from '../../conversations/schema/actor.ts';
import { ContactRefInput } from '../../contacts/schema/queries.ts';
import type { ErasureTarget } from '../../generated/prisma/client.ts';
import { ErasureStatus } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { encodeId } from '../../ids.ts';
import { JobRef } from '../../jobs/schema.ts';
import { TooManyJobsError } from '../../jobs/tracked.ts';
import { eraseContacts, erasureLimits } from '../erase-contacts.ts';
import { erasureOf } from '../erasure-jobs.ts';

const ErasureStatusRef = builder.enumType('ErasureStatus', {
  description: 'How far the erasure of a person is.',
  values: {
    [ErasureStatus.PENDING]: { description: 'Not all is erased yet. Nothing is written for the person any more.' },
    [ErasureStatus.ERASED]: { description: 'All is erased.' },
    [ErasureStatus.NOT_FOUND]: { description: 'The reference names nobody.' },
  } as const,
});

const ErasureOutcomeRef = builder.objectRef<ErasureTarget>('ErasureOutcome').implement({
  description: 'What became of a reference: one for each person whom it names.',
  fields: (t) => ({
    index: t.int({
      description: 'The place of the reference in `contacts`, from 0. Its email address or external ID is not kept.',
      resolve: ({ referenceIndex }) => referenceIndex,
    }),
    reference: t.string({
      nullable: true,
      description:
        'ID of the person, `contact_…`, who cannot be found by it any more. Null if the reference names nobody.',
      resolve: ({ contactId }) => contactId && encodeId('Contact', contactId),
    }),
    status: t.expose('status', { type: ErasureStatusRef, description: 'How far it is.' }),
    conversations: t.exposeInt('conversations', { description: 'How many conversations were erased so far.' }),
    messages: t.exposeInt('messages', {
      description:
        'How many messages were erased so far: all in those conversations, and what the person has written in others.',
    }),
    attachments: t.exposeInt('attachments', { description: 'How many attachments were erased so far.' }),
  }),
});

const ErasureRef = builder.prismaNode('Job', {
  variant: 'Erasure',
  description:
    'The erasure of people: a job. It stays as the proof that it happened, and holds nothing of them but their IDs.',
  interfaces: [JobRef],
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer: { organizationId } }) => ({ id, organizationId, kind: 'ERASURE' }),
  fields: (t) => ({
    outcomes: t.field({
      type: [ErasureOutcomeRef],
      description: `What became of each reference, in their order. At most ${erasureLimits.people + erasureLimits.references}.`,
      resolve: ({ id }, _args, { services }) =>
        services.prisma.erasureTarget.findMany({ where: { jobId: id }, orderBy: { index: 'asc' } }),
    }),
    reason: t.string({
      nullable: true,
      description: 'The reason that was given. Null if none was.',
      resolve: ({ input }) => erasureOf(input).reason,
    }),
    actor: t.field({
      type: ActorRef,
      description: 'Who asked for it.',
      resolve: ({ input }) => erasureOf(input).actor,
    }),
  }),
});

const EraseContactsInput = builder.inputType('EraseContactsInput', {
  description: 'Whom to erase.',
  fields: (t) => ({
    contacts: t.field({
      type: [ContactRefInput],
      required: true,
      description:
        `1 to ${erasureLimits.references} references. An email address names all contacts that have it. Together they name at most ` +
        `${erasureLimits.people} people.`,
    }),
    reason: t.string({
      description: `Why, for the record: it is kept, so do not name the person. At most ${erasureLimits.reason} bytes.`,
    }),
  }),
});

const EraseContactsPayload = builder.objectRef<{ jobId: string }>('EraseContactsPayload').implement({
  description: 'Nothing is written for these people any more, and all that is there of them is being erased.',
  fields: (t) => ({
    erasure: t.prismaField({
      type: ErasureRef,
      description: 'The current erasure. Follow it by `jobProgress`.',
      resolve: (query, { jobId: id }, _args, { services }) =>
        services.prisma.job.findUnique({ ...query, where: { id } }).then(present),
    }),
  }),
});

builder.mutationField('eraseContacts', (t) =>
  t.field({
    type: EraseContactsPayload,
    nullable: true,
    authScopes: { admin: true },
    description:
      'Erases people: their conversations with all that is in them, what they have written in others, which stays as a blank with a ' +
      '`MessageErased`, what webhooks were to be sent of it, and all export files made before. Their client tokens and sockets end within a ' +
      'second, and what is written by them or for them is `NOT_FOUND` from then on. It cannot be undone or cancelled. Again, it is harmless.',
    errors: {
      types: [InvalidInputError, TooManyJobsError],
      union: { name: 'EraseContactsResult', description: 'The result of `eraseContacts`.' },
    },
    args: { input: t.arg({ type: EraseContactsInput, required: true, description: 'Whom to erase.' }) },
    resolve: (_root, { input }, { services, viewer }) => eraseContacts(services, viewer, input),
  }),
);
