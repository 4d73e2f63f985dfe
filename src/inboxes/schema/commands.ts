import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { encodeId } from '../../ids.ts';
import { createInbox, deleteInbox, type InboxSecrets, rotateInboxSecret, updateInbox } from '../commands.ts';
import { inboxLimits } from '../model.ts';
import { InboxChannelRef, InboxRef, WeekdayRef } from './inbox.ts';

const inboxIdDescription = 'ID of the inbox, `inbox_…`.';

const AttendedHoursInput = builder.inputType('AttendedHoursInput', {
  description: 'A span of a day in which somebody is there, every week. One that passes midnight is two.',
  fields: (t) => ({
    day: t.field({ type: WeekdayRef, required: true, description: 'The day.' }),
    from: t.string({ required: true, description: 'When it begins, `HH:MM` in the time zone of the inbox.' }),
    to: t.string({ required: true, description: 'When it has ended, `HH:MM`, later than `from`; at most `24:00`.' }),
  }),
});

const descriptions = {
  name: `1 to ${inboxLimits.name} characters. End users see it.`,
  agentId: 'The agent that answers conversations of this inbox that name no agent.',
  allowedOrigins:
    'Of a web chat: the origins of pages that may start a visit, and use the API from a browser. Such as ' +
    `\`https://shop.example\`, without a path; at most ${inboxLimits.origins}. Empty: all.`,
  allowsAnonymous: 'Of a web chat: whether visitors may write whom nobody has named. Default: true.',
  address:
    'Of an email inbox: the address that it is reached at, and that its letters come from. No two of an organization have the same. ' +
    'At most 254 bytes, of them 24 before the @, without `+`.',
  emailInboxId:
    'Of a web chat: the email inbox by which its conversations go on when the contact has left and has an address. Null: they do not.',
  timeZone: 'The time zone of `hours`, by its IANA name, such as `Europe/Berlin`.',
  hours: `When somebody is there: at most ${inboxLimits.hours} spans. Left out or null: always. Empty: never.`,
  awayMessage: `What to tell people when nobody is there. At most ${inboxLimits.awayMessage} bytes.`,
  metadata:
    'For operators. Added to what is there (JSON Merge Patch, RFC 7396): a null removes its key. At most 64 KiB, and 128 KiB in all.',
} as const;

const CreateInboxInput = builder.inputType('CreateInboxInput', {
  description: '`name` and `channel` are required.',
  fields: (t) => ({
    name: t.string({ required: true, description: descriptions.name }),
    channel: t.field({ type: InboxChannelRef, required: true, description: 'The kind of channel. It stays.' }),
    agentId: t.id({ description: descriptions.agentId }),
    allowedOrigins: t.field({ type: ['URL'], description: descriptions.allowedOrigins }),
    allowsAnonymous: t.boolean({ description: descriptions.allowsAnonymous }),
    address: t.string({ description: descriptions.address }),
    emailInboxId: t.id({ description: descriptions.emailInboxId }),
    timeZone: t.string({ description: descriptions.timeZone }),
    hours: t.field({ type: [AttendedHoursInput], description: descriptions.hours }),
    awayMessage: t.string({ description: descriptions.awayMessage }),
    metadata: t.field({ type: 'JSONObject', description: 'For operators. At most 64 KiB.' }),
  }),
});

const UpdateInboxInput = builder.inputType('UpdateInboxInput', {
  description: 'A field left out stays unchanged. Null clears a field that can be cleared.',
  fields: (t) => ({
    inboxId: t.id({ required: true, description: inboxIdDescription }),
    name: t.string({ description: `${descriptions.name} Cannot be cleared.` }),
    agentId: t.id({ description: descriptions.agentId }),
    allowedOrigins: t.field({ type: ['URL'], description: `Replaced as a whole. ${descriptions.allowedOrigins}` }),
    allowsAnonymous: t.boolean({ description: descriptions.allowsAnonymous }),
    address: t.string({ description: descriptions.address }),
    emailInboxId: t.id({ description: descriptions.emailInboxId }),
    timeZone: t.string({ description: descriptions.timeZone }),
    hours: t.field({ type: [AttendedHoursInput], description: `Replaced as a whole. ${descriptions.hours}` }),
    awayMessage: t.string({ description: descriptions.awayMessage }),
    metadata: t.field({ type: 'JSONObject', description: descriptions.metadata }),
  }),
});

const DeleteInboxInput = builder.inputType('DeleteInboxInput', {
  description: 'The inbox to delete.',
  fields: (t) => ({ inboxId: t.id({ required: true, description: inboxIdDescription }) }),
});

const RotateInboxSecretInput = builder.inputType('RotateInboxSecretInput', {
  description: 'The web chat or email inbox that gets a new secret.',
  fields: (t) => ({ inboxId: t.id({ required: true, description: inboxIdDescription }) }),
});

/** A payload that holds the inbox with this row id, and more where its type has it. */
function inboxPayload<Shape extends { inboxId: string }>(name: string, description: string) {
  const ref = builder.objectRef<Shape>(name).implement({ description });
  builder.objectField(ref, 'inbox', (t) =>
    t.prismaField({
      type: InboxRef,
      description: 'The current inbox. It may include later changes.',
      resolve: (query, { inboxId: id }, _args, { services }) =>
        services.prisma.inbox.findUnique({ ...query, where: { id } }).then(present),
    }),
  );
  return ref;
}

const secretDescription =
  'With it the server of a page signs who its visitors are. Shown only here. Whoever has it can be any person: keep it on the server.';

const letterSecretDescription =
  'Of an email inbox: letters are given to it by `POST /email/<secret>`. Shown only here. Whoever has it can write to the inbox as anybody.';

const CreateInboxPayload = inboxPayload<{ inboxId: string } & InboxSecrets>('CreateInboxPayload', 'The new inbox.');
const UpdateInboxPayload = inboxPayload('UpdateInboxPayload', 'The changed inbox.');
const RotateInboxSecretPayload = inboxPayload<{ inboxId: string } & InboxSecrets>(
  'RotateInboxSecretPayload',
  'The inbox has a new secret.',
);
for (const ref of [CreateInboxPayload, RotateInboxSecretPayload]) {
  builder.objectFields(ref, (t) => ({
    identitySecret: t.exposeString('identitySecret', {
      nullable: true,
      description: `Of a web chat. ${secretDescription}`,
    }),
    letterSecret: t.exposeString('letterSecret', { nullable: true, description: letterSecretDescription }),
  }));
}
const DeleteInboxPayload = builder.objectRef<{ inboxId: string }>('DeleteInboxPayload').implement({
  description: 'The inbox was deleted.',
  fields: (t) => ({
    deletedInboxId: t.id({
      description: 'ID of the deleted inbox, for removing it from caches.',
      resolve: ({ inboxId }) => encodeId('Inbox', inboxId),
    }),
  }),
});

builder.mutationField('createInbox', (t) =>
  t.field({
    type: CreateInboxPayload,
    nullable: true,
    // Whoever has the secret of a web chat can read as any person.
    authScopes: { $all: { read: true, write: true } },
    description: 'Creates an inbox. Do not repeat blindly: each call creates another one.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'CreateInboxResult', description: 'The result of `createInbox`.' },
    },
    args: { input: t.arg({ type: CreateInboxInput, required: true, description: 'The inbox to create.' }) },
    resolve: (_root, { input }, { services, viewer }) => createInbox(services, viewer, input),
  }),
);

builder.mutationField('updateInbox', (t) =>
  t.field({
    type: UpdateInboxPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Changes an inbox. Its channel and its keys stay.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'UpdateInboxResult', description: 'The result of `updateInbox`.' },
    },
    args: { input: t.arg({ type: UpdateInboxInput, required: true, description: 'The changes.' }) },
    resolve: (_root, { input }, { services, viewer }) => updateInbox(services, viewer, input),
  }),
);

builder.mutationField('rotateInboxSecret', (t) =>
  t.field({
    type: RotateInboxSecretPayload,
    nullable: true,
    authScopes: { $all: { read: true, write: true } },
    description:
      'Gives a web chat a new identity secret: identities signed with the one before are refused at once; visits that have started go ' +
      'on until their tokens expire. Gives an email inbox a new letter secret: the one before is taken for another 24 hours, or until ' +
      'the next rotation.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'RotateInboxSecretResult', description: 'The result of `rotateInboxSecret`.' },
    },
    args: { input: t.arg({ type: RotateInboxSecretInput, required: true, description: 'Which inbox.' }) },
    resolve: (_root, { input }, { services, viewer }) => rotateInboxSecret(services, viewer, input),
  }),
);

builder.mutationField('deleteInbox', (t) =>
  t.field({
    type: DeleteInboxPayload,
    nullable: true,
    authScopes: { write: true },
    description:
      'Deletes an inbox. Its conversations stay, without an inbox. The tokens of its visits are refused within a second.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'DeleteInboxResult', description: 'The result of `deleteInbox`.' },
    },
    args: { input: t.arg({ type: DeleteInboxInput, required: true, description: 'The inbox to delete.' }) },
    resolve: (_root, { input }, { services, viewer }) => deleteInbox(services, viewer, input),
  }),
);
