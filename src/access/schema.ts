import type { ApiKey } from '../generated/prisma/client.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { builder } from '../graphql/builder.ts';
import { Keyset, keysetPage } from '../graphql/connection.ts';
import { decodeId } from '../ids.ts';
import { createApiKey, revokeApiKey } from './api-keys.ts';
import { grantClientToken, MAX_TOKEN_SECONDS } from './grant-client-token.ts';
import { readNewKey } from './read-new-key.ts';
import { isKeyScope, type Viewer } from './viewer.ts';

const ViewerKindRef = builder.enumType('ViewerKind', {
  description: 'The kind of a credential.',
  values: {
    API_KEY: { description: "An operator's, for servers." },
    CLIENT_TOKEN: { description: "An end user's, for browsers: short-lived, and confined to what is theirs." },
  } as const,
});

const KeyScopeRef = builder.enumType('KeyScope', {
  description: 'What an API key may be allowed.',
  values: {
    READ: { value: 'read', description: 'Read everything of the organization.' },
    WRITE: { value: 'write', description: 'Change it.' },
    ADMIN: { value: 'admin', description: 'Manage its API keys.' },
  } as const,
});

const ViewerRef = builder.objectRef<Viewer>('Viewer').implement({
  description: 'Who is asking.',
  fields: (t) => ({
    kind: t.expose('kind', { type: ViewerKindRef, description: 'The kind of the credential.' }),
    contact: t.prismaField({
      type: 'Contact',
      nullable: true,
      description: 'For a client token of one person.',
      resolve: (query, { contactId }, _args, { services }) =>
        contactId === null ? null : services.prisma.contact.findUnique({ ...query, where: { id: contactId } }),
    }),
    scopes: t.field({
      type: [KeyScopeRef],
      description: 'What an API key allows. Empty for a client token, with which a person takes part in conversations.',
      resolve: ({ scopes }) => scopes.filter(isKeyScope),
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the credential expires; null when it does not.',
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: ViewerRef,
    nullable: true,
    authScopes: { read: true, write: true, admin: true, participate: true },
    description: 'Who is asking.',
    resolve: (_root, _args, { viewer }) => viewer,
  }),
);

const ApiKeyRef = builder.prismaNode('ApiKey', {
  description: 'A credential for servers. Its secret is shown once, when it is made.',
  id: { field: 'id', description: 'Of this object, and of no other of any type.' },
  findUnique: (id, { viewer }) => ({ id, organizationId: viewer.organizationId }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'For operators; the log names it as the actor of what it does.' }),
    scopes: t.field({
      type: [KeyScopeRef],
      description: 'What it allows.',
      resolve: ({ scopes }) => scopes.filter(isKeyScope),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute; null when it never was.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'From when on it is refused; null when it does not expire.',
    }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Since when it is refused; null while it is honoured.',
    }),
  }),
});

const byAge = new Keyset({ createdAt: 'time', id: 'uuid' });

builder.queryField('apiKeys', (t) =>
  t.connection(
    {
      type: ApiKeyRef,
      authScopes: { admin: true },
      description: "The organization's API keys, oldest first, revoked ones included.",
      resolve: (_root, args, context) =>
        keysetPage(
          args,
          byAge,
          (row: ApiKey) => row,
          (slice) =>
            context.services.prisma.apiKey.findMany({
              where: { organizationId: context.viewer.organizationId, AND: byAge.between(slice) },
              orderBy: byAge.orderOf(slice),
              take: slice.limit,
            }),
        ),
    },
    { name: 'ApiKeyConnection', description: 'A page of API keys.' },
    { name: 'ApiKeyEdge', description: 'One of a page.' },
  ),
);

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'A name is enough.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'For operators. At most 1 KiB.' }),
    scopes: t.field({
      type: [KeyScopeRef],
      description: 'What it allows, no more than your own credential. Left out: `READ` and `WRITE`.',
    }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'From when on it is refused, no later than your own credential. Left out: never.',
    }),
  }),
});

const CreateApiKeyPayload = builder.objectRef<{ id: string; secret: string }>('CreateApiKeyPayload').implement({
  description: 'The key.',
  fields: (t) => ({
    apiKey: t.prismaField({
      type: ApiKeyRef,
      description: 'As it is stored.',
      resolve: (query, { id }, _args, { services }) =>
        services.prisma.apiKey.findUniqueOrThrow({ ...query, where: { id } }),
    }),
    secret: t.exposeString('secret', {
      description: 'The key itself, shown only now. Send it as `Authorization: Bearer`.',
    }),
  }),
});

builder.mutationField('createApiKey', (t) =>
  t.field({
    type: CreateApiKeyPayload,
    nullable: true,
    authScopes: { admin: true },
    description: 'Makes an API key.',
    errors: {
      types: [InvalidInputError],
      union: { name: 'CreateApiKeyResult', description: 'What `createApiKey` comes to.' },
    },
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: 'The key.' }) },
    resolve: (_root, { input }, { services, viewer }) =>
      createApiKey(services.prisma, services.newId, {
        organizationId: viewer.organizationId,
        ...readNewKey(input, viewer),
      }),
  }),
);

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'Which key.',
  fields: (t) => ({ apiKeyId: t.id({ required: true, description: '`key_…`' }) }),
});

const RevokeApiKeyPayload = builder.objectRef<{ id: string }>('RevokeApiKeyPayload').implement({
  description: 'The key, which is refused from now on.',
  fields: (t) => ({
    apiKey: t.prismaField({
      type: ApiKeyRef,
      description: 'As it is stored.',
      resolve: (query, { id }, _args, { services }) =>
        services.prisma.apiKey.findUniqueOrThrow({ ...query, where: { id } }),
    }),
  }),
});

builder.mutationField('revokeApiKey', (t) =>
  t.field({
    type: RevokeApiKeyPayload,
    nullable: true,
    authScopes: { admin: true },
    description:
      'Ends an API key and the client tokens that it minted, for good: every server refuses them within a second, and ends ' +
      'their sockets, streams and waiting requests. Revoking again is harmless.',
    errors: {
      types: [NotFoundError],
      union: { name: 'RevokeApiKeyResult', description: 'What `revokeApiKey` comes to.' },
    },
    args: { input: t.arg({ type: RevokeApiKeyInput, required: true, description: 'The key.' }) },
    resolve: async (_root, { input }, { services, viewer: { organizationId } }) => {
      const id = decodeId('ApiKey', input.apiKeyId);
      if (!id || !(await revokeApiKey(services.prisma, { id, organizationId }))) throw new NotFoundError(['apiKeyId']);
      services.bus.publish({ kind: 'revoked', keyId: id });
      return { id };
    },
  }),
);

const ClientTokenSubject = builder.inputType('ClientTokenSubject', {
  description: 'For whom a client token is; exactly one.',
  isOneOf: true,
  fields: (t) => ({
    contactId: t.id({ description: 'This person, for all their conversations. `contact_…`' }),
    conversationId: t.id({ description: 'Whoever takes part in this conversation, for it alone. `conv_…`' }),
  }),
});

const CreateClientTokenInput = builder.inputType('CreateClientTokenInput', {
  description: 'For whom, and for how long.',
  fields: (t) => ({
    for: t.field({ type: ClientTokenSubject, required: true, description: 'For whom it is.' }),
    expiresInSeconds: t.int({
      required: true,
      defaultValue: 900,
      description: `How long it lives: 1 to ${MAX_TOKEN_SECONDS} seconds, and no longer than your own credential.`,
    }),
  }),
});

const CreateClientTokenPayload = builder
  .objectRef<{ token: string; expiresAt: Date }>('CreateClientTokenPayload')
  .implement({
    description: 'The token.',
    fields: (t) => ({
      token: t.exposeString('token', {
        description: 'A JWT. Send it as `Authorization: Bearer`, or as `authorization` in the connection parameters.',
      }),
      expiresAt: t.expose('expiresAt', {
        type: 'DateTime',
        description:
          'From when on it is refused, and its sockets are closed with 4440. Follow on with a new one from your cursor.',
      }),
    }),
  });

builder.mutationField('createClientToken', (t) =>
  t.field({
    type: CreateClientTokenPayload,
    nullable: true,
    // Whoever mints a token can read with it.
    authScopes: { $all: { read: true, write: true } },
    description:
      'Mints a short-lived token for a browser. With it an end user sees their own conversations, and may send, stop, follow ' +
      'and end; never control messages, state or anything else that is for operators only.',
    errors: {
      types: [InvalidInputError, NotFoundError],
      union: { name: 'CreateClientTokenResult', description: 'What `createClientToken` comes to.' },
    },
    args: {
      input: t.arg({ type: CreateClientTokenInput, required: true, description: 'For whom, and for how long.' }),
    },
    resolve: (_root, { input }, { services, viewer }) => grantClientToken(services, viewer, input),
  }),
);
