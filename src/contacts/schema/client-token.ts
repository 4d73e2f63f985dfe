import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { ClientGrantRef } from '../../access/schema.ts';
import { createClientToken, MAX_TOKEN_SECONDS } from '../commands/create-client-token.ts';
import { ContactBlockedError } from '../failures.ts';
import { ContactIdentityInput } from './inputs.ts';

const ClientTokenSubject = builder.inputType('ClientTokenSubject', {
  description: 'Who a client token is for. Give exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    contact: t.field({
      type: ContactIdentityInput,
      description: 'This person, in all their conversations. Created or changed as by `upsertContact`.',
    }),
    contactId: t.id({ description: 'This person, in all their conversations. `contact_…`' }),
    conversationId: t.id({ description: 'Whoever takes part in this conversation, and only in this one. `conv_…`' }),
  }),
});

const CreateClientTokenInput = builder.inputType('CreateClientTokenInput', {
  description: 'Who the token is for, and how long it is valid.',
  fields: (t) => ({
    for: t.field({ type: ClientTokenSubject, required: true, description: 'Who the token is for.' }),
    grants: t.field({
      type: [ClientGrantRef],
      required: true,
      defaultValue: ['end'],
      description: 'What the token may do beside reading, sending, following and stopping.',
    }),
    displayName: t.string({
      description: 'For a token of one conversation: the name shown with what its holder writes. At most 200 bytes.',
    }),
    expiresInSeconds: t.int({
      required: true,
      defaultValue: 900,
      description: `How long the token is valid: 1 to ${MAX_TOKEN_SECONDS} seconds, and not longer than your own credential.`,
    }),
  }),
});

const CreateClientTokenPayload = builder
  .objectRef<{ token: string; expiresAt: Date }>('CreateClientTokenPayload')
  .implement({
    description: 'The new token.',
    fields: (t) => ({
      token: t.exposeString('token', {
        description: 'A JWT. Send it as `Authorization: Bearer`, or as `authorization` in the connection parameters.',
      }),
      expiresAt: t.expose('expiresAt', {
        type: 'DateTime',
        description:
          'From this time on the token is refused, and its sockets are closed with 4440. Continue from your cursor with a new token.',
      }),
    }),
  });

builder.mutationField('createClientToken', (t) =>
  t.field({
    type: CreateClientTokenPayload,
    nullable: true,
    // A token lets its holder read, so issuing one takes the scope READ too.
    authScopes: { $all: { read: true, write: true } },
    description:
      'Issues a short-lived token for a browser. With it an end user sees their own conversations, and may send, stop, ' +
      'follow, and do what it is granted. Control messages, state and everything else that is for operators only stay hidden.',
    errors: {
      types: [ContactBlockedError, InvalidInputError, NotFoundError],
      union: { name: 'CreateClientTokenResult', description: 'The result of `createClientToken`.' },
    },
    args: {
      input: t.arg({
        type: CreateClientTokenInput,
        required: true,
        description: 'Who the token is for, and how long it is valid.',
      }),
    },
    resolve: (_root, { input }, { services, viewer }) => createClientToken(services, viewer, input),
  }),
);
