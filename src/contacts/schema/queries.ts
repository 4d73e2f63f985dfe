import type { Contact } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { DateTimeRange } from '../../graphql/date-time-range.ts';
import { asBadInput } from '../../graphql/errors.ts';
import { decodeId } from '../../ids.ts';
import { listContacts } from '../list.ts';
import { ContactRef } from './contact.ts';

export const ContactRefInput = builder.inputType('ContactRef', {
  description: 'Names a contact. Give exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    id: t.id({ description: 'ID of the contact, `contact_…`.' }),
    externalId: t.string({ description: "The person's ID in your own system." }),
    email: t.string({
      description: 'An email address, in upper or lower case. Of several contacts that have it, the one known first.',
    }),
  }),
});

const ContactFilterInput = builder.inputType('ContactFilter', {
  description: 'A contact must match all fields that are given.',
  fields: (t) => ({
    anonymous: t.boolean({ description: 'Whether nobody has said who it is.' }),
    metadata: t.field({ type: 'JSONObject', description: 'The metadata contains this object. At most 64 KiB.' }),
    created: t.field({ type: DateTimeRange, description: 'When the person was first known.' }),
  }),
});

builder.queryField('contact', (t) =>
  t.prismaField({
    type: ContactRef,
    nullable: true,
    authScopes: { read: true },
    description: 'One contact. Null if it does not exist.',
    args: { ref: t.arg({ type: ContactRefInput, required: true, description: 'Which contact.' }) },
    resolve: async (query, _root, { ref }, { services, viewer: { organizationId } }) => {
      const kept = { organizationId, erasingSince: null };
      const { externalId, email } = ref;
      if ([externalId, email].some((text) => text?.includes('\0') || text?.isWellFormed() === false)) return null;
      const id = ref.id == null ? null : decodeId('Contact', ref.id);
      if (id) return services.prisma.contact.findFirst({ ...query, where: { id, AND: kept } });
      if (externalId != null) return services.prisma.contact.findFirst({ ...query, where: { externalId, AND: kept } });
      if (email == null) return null;
      const { rows } = await services.pool.query<{ id: string }>({
        name: 'find-contact-by-email',
        text: `SELECT id FROM contact WHERE organization_id = $1 AND lower(email) = lower($2) AND erasing_since IS NULL ORDER BY created_at, id LIMIT 1`,
        values: [organizationId, email],
      });
      return rows[0] ? services.prisma.contact.findFirst({ ...query, where: { ...rows[0], AND: kept } }) : null;
    },
  }),
);

const byAge = new Keyset({ createdAt: 'time', id: 'uuid' });

builder.queryField('contacts', (t) =>
  t.connection(
    {
      type: ContactRef,
      authScopes: { read: true },
      description: "The organization's contacts, oldest first. For the newest, ask for `last`.",
      args: {
        keyword: t.arg.string({
          description:
            'Each of these words occurs in the name, the email address or the external ID, in upper or lower case. At most 10 words and 200 bytes.',
        }),
        filter: t.arg({ type: ContactFilterInput, description: 'Only contacts that match.' }),
      },
      resolve: (_root, { keyword, filter, ...args }, { services, viewer: { organizationId } }) =>
        keysetPage(
          args,
          byAge,
          (row: Contact) => row,
          (slice) =>
            listContacts(services, { organizationId, keyword, filter: filter ?? {}, ...slice }).catch(asBadInput),
        ),
    },
    { name: 'ContactConnection', description: 'A page of contacts.' },
    { name: 'ContactEdge', description: 'An entry of a page.' },
  ),
);
