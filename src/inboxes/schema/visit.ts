import { ContactRef } from '../../contacts/schema/contact.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { rateLimited } from '../../graphql/errors.ts';
import { present } from '../../graphql/present.ts';
import { UserErrorRef } from '../../graphql/user-errors.ts';
import { type VisitRefusal, VisitRefusedError } from '../failures.ts';
import { IDENTITY_SECONDS, MAX_IDENTITY } from '../visits/identity.ts';
import { readVisit, type StartedVisit, startVisit } from '../visits/start.ts';
import { InboxRef } from './inbox.ts';

const VisitRefusalRef = builder.enumType('VisitRefusal', {
  description: 'Why a visit may not start. More values may come.',
  values: {
    ORIGIN_NOT_ALLOWED: { description: 'The inbox does not list the origin of the page.' },
    IDENTITY_REQUIRED: { description: 'The inbox takes only visitors with an `identity`.' },
    IDENTITY_INVALID: {
      description: 'The `identity` is not signed with the secret of this inbox, not meant for it, or lives too long.',
    },
    IDENTITY_EXPIRED: { description: 'The `identity` has expired. Get a new one from the server of the page.' },
    BLOCKED: { description: 'The visitor is blocked.' },
  } satisfies Record<VisitRefusal, object>,
});

builder.objectType(VisitRefusedError, {
  name: 'VisitRefusedError',
  description: 'The visit may not start.',
  interfaces: [UserErrorRef],
  fields: (t) => ({
    reason: t.expose('reason', { type: VisitRefusalRef, description: 'Why, for programs.' }),
  }),
});

const StartVisitInput = builder.inputType('StartVisitInput', {
  description: 'Only `inboxKey` is required.',
  fields: (t) => ({
    inboxKey: t.string({ required: true, description: 'The `publicKey` of the web chat, `web_…`.' }),
    identity: t.string({
      description:
        "Who the visitor is: a JWT by the page's own server. HS256 with the identity secret of the inbox; `aud` is the inbox's " +
        `\`publicKey\`, \`sub\` the external ID of the person, \`exp\` at most ${IDENTITY_SECONDS} s ahead; \`name\` and \`email\` ` +
        `if you want. It can be used again until it expires. At most ${MAX_IDENTITY} bytes.`,
    }),
    visitorSecret: t.string({ description: 'From the last visit of this browser. It works once.' }),
  }),
});

const StartVisitPayload = builder.objectRef<StartedVisit>('StartVisitPayload').implement({
  description: 'The visit has started.',
  fields: (t) => ({
    token: t.exposeString('token', {
      description: 'A client token of the visitor, with all grants. Their new conversations arrive through the inbox.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'From this time on the token is refused. Start another visit then.',
    }),
    visitorSecret: t.exposeString('visitorSecret', {
      nullable: true,
      description:
        'Keep it in the browser for the next visit, in place of the last one. Null after `identity`: forget the last one, ' +
        'and give another `identity` next time.',
    }),
    contact: t.field({ type: ContactRef, description: 'The visitor.', resolve: ({ contact }) => contact }),
    inbox: t.prismaField({
      type: InboxRef,
      description: 'The web chat.',
      resolve: (query, { inboxId: id }, _args, { services }) =>
        services.prisma.inbox.findUnique({ ...query, where: { id } }).then(present),
    }),
  }),
});

builder.mutationField('startVisit', (t) =>
  t.field({
    type: StartVisitPayload,
    nullable: true,
    authScopes: { visit: true },
    description:
      'Starts or continues a visit of a web chat: anonymous, returning by a `visitorSecret`, or named by an `identity`. Whoever ' +
      'gives both becomes the person whom the identity names, with the conversations so far. Each visit ends the tokens of the ' +
      'earlier ones of an anonymous visitor. It must be the only field of its operation; a credential is not taken into account. ' +
      'Limited by address and by inbox.',
    errors: {
      types: [NotFoundError, InvalidInputError, VisitRefusedError],
      union: { name: 'StartVisitResult', description: 'The result of `startVisit`.' },
    },
    args: { input: t.arg({ type: StartVisitInput, required: true, description: 'Which web chat, and who visits.' }) },
    resolve: async (_root, { input }, { services, viewer, origin }) => {
      const visit = await readVisit(services.pool, input, origin);
      const allowance = await services.visitLimit.take(visit.inbox.id);
      if (allowance?.allowed === false) {
        const { resetSeconds } = allowance;
        throw rateLimited(`Too many visits of this web chat start. Try again in ${resetSeconds} s.`, resetSeconds);
      }
      return startVisit(services, visit, viewer.network);
    },
  }),
);
