import { InvalidInputError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { MAX_RETENTION_DAYS, updateOrganization } from '../organization.ts';

interface RetentionDays {
  conversationDays: number | null;
  attachmentDays: number | null;
}

const RetentionRef = builder.objectRef<RetentionDays>('Retention').implement({
  description: 'How long is kept what nobody has asked to erase. What is older is erased at night, for good.',
  fields: (t) => ({
    conversationDays: t.exposeInt('conversationDays', {
      nullable: true,
      description:
        'Days after the last change of a conversation until it is erased with all that is in it. Null: it is kept for ever.',
    }),
    attachmentDays: t.exposeInt('attachmentDays', {
      nullable: true,
      description:
        'Days after a message named an attachment until that is removed, with its file. Null: as long as its conversation.',
    }),
  }),
});

const OrganizationRef = builder.prismaNode('Organization', {
  description: 'What owns everything that one of its credentials can see.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer: { organizationId } }) => ({ id, AND: { id: organizationId } }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name.' }),
    timeZone: t.exposeString('timeZone', {
      description: 'Where a `LocalDate` is a day: the IANA name of a time zone. `UTC` unless set.',
    }),
    retention: t.field({
      type: RetentionRef,
      description: 'How long conversations and attachments are kept.',
      select: { conversationDays: true, attachmentDays: true },
      resolve: ({ conversationDays, attachmentDays }) => ({ conversationDays, attachmentDays }),
    }),
  }),
});

builder.queryField('organization', (t) =>
  t.prismaField({
    type: OrganizationRef,
    nullable: true,
    authScopes: { read: true },
    description: 'The organization of the credential.',
    resolve: (query, _root, _args, { services, viewer: { organizationId: id } }) =>
      services.prisma.organization.findUnique({ ...query, where: { id } }),
  }),
);

const days = `1 to ${MAX_RETENTION_DAYS} days; null keeps for ever; left out stays unchanged.`;

const RetentionInputRef = builder.inputType('RetentionInput', {
  description: 'How long is kept what nobody has asked to erase.',
  fields: (t) => ({
    conversationDays: t.int({ description: `After the last change of a conversation. ${days}` }),
    attachmentDays: t.int({ description: `After a message named the attachment. ${days}` }),
  }),
});

const UpdateOrganizationInput = builder.inputType('UpdateOrganizationInput', {
  description: 'A field left out stays unchanged. Only `retention` can be cleared.',
  fields: (t) => ({
    name: t.string({ description: '1 to 200 bytes.' }),
    timeZone: t.string({ description: 'The IANA name of a time zone, such as `Europe/Berlin`.' }),
    retention: t.field({
      type: RetentionInputRef,
      description:
        'How long conversations and attachments are kept. Null: for ever. It takes effect in the next night.',
    }),
  }),
});

const UpdateOrganizationPayload = builder.objectRef<{ organizationId: string }>('UpdateOrganizationPayload').implement({
  description: 'The organization is changed.',
  fields: (t) => ({
    organization: t.prismaField({
      type: OrganizationRef,
      description: 'The current organization.',
      resolve: (query, { organizationId: id }, _args, { services }) =>
        services.prisma.organization.findUnique({ ...query, where: { id } }).then(present),
    }),
  }),
});

builder.mutationField('updateOrganization', (t) =>
  t.field({
    type: UpdateOrganizationPayload,
    nullable: true,
    authScopes: { admin: true },
    description: 'Changes the organization. Exports that run already may see either time zone.',
    errors: {
      types: [InvalidInputError],
      union: { name: 'UpdateOrganizationResult', description: 'The result of `updateOrganization`.' },
    },
    args: { input: t.arg({ type: UpdateOrganizationInput, required: true, description: 'What to change.' }) },
    resolve: (_root, { input }, { services, viewer }) => updateOrganization(services, viewer, input),
  }),
);
