import { InvalidInputError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { updateOrganization } from '../organization.ts';

const OrganizationRef = builder.prismaNode('Organization', {
  description: 'What owns everything that one of its credentials can see.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer: { organizationId } }) => ({ id, AND: { id: organizationId } }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name.' }),
    timeZone: t.exposeString('timeZone', {
      description: 'Where a `LocalDate` is a day: the IANA name of a time zone. `UTC` unless set.',
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

const UpdateOrganizationInput = builder.inputType('UpdateOrganizationInput', {
  description: 'A field left out stays unchanged. None can be cleared.',
  fields: (t) => ({
    name: t.string({ description: '1 to 200 bytes.' }),
    timeZone: t.string({ description: 'The IANA name of a time zone, such as `Europe/Berlin`.' }),
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
