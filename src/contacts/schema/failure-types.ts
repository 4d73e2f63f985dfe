import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { UserErrorRef } from '../../graphql/user-errors.ts';
import { ContactBlockedError } from '../failures.ts';
import { ContactRef } from './contact.ts';

builder.objectType(ContactBlockedError, {
  name: 'ContactBlockedError',
  description: 'The person is blocked. Unblock them first.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    contact: t.prismaField({
      type: ContactRef,
      description: 'The person.',
      resolve: (query, { contactId }, _args, { services }) =>
        services.prisma.contact.findUnique({ ...query, where: { id: contactId } }).then(present),
    }),
  }),
});
