import type { ApiKey } from '../generated/prisma/client.ts';
import { inTransaction } from '../db.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { builder } from '../graphql/builder.ts';
import { Keyset, keysetPage } from '../graphql/connection.ts';
import { operatorsOnly } from '../graphql/operators-only.ts';
import { decodeId } from '../ids.ts';
import { createApiKey, revokeApiKey } from './api-keys.ts';
import { lockMakers } from './makers.ts';
import { readNewKey } from './read-new-key.ts';
import { isClientGrant, isKeyScope, type Viewer } from './viewer.ts';

const ViewerKindRef = builder.enumType('ViewerKind', {
  description: 'The kind of credential.',
  values: {
    API_KEY: { description: "An operator's credential, for servers." },
    CLIENT_TOKEN: {
      description: "An end user's credential, for browsers. Short-lived, and confined to their own conversations.",
    },
    OPERATOR: { description: 'The token or the session of a human who answers.' },
  } as const,
});

const KeyScopeRef = builder.enumType('KeyScope', {
  description: 'What an API key may do.',
  values: {
    READ: { value: 'read', description: 'Read everything in the organization.' },
    WRITE: { value: 'write', description: 'Change everything in the organization except its API keys.' },
    ADMIN: { value: 'admin', description: "Manage the organization's API keys." },
  } as const,
});

export const ClientGrantRef = builder.enumType('ClientGrant', {
  description: 'What a client token may do beside reading, sending, following and stopping. More values may come.',
  values: {
    START_CONVERSATION: {
      value: 'startConversation',
      description: 'Begin conversations. The token must be for a person, not for one conversation.',
    },
    ASK_FOR_HUMAN: { value: 'askForHuman', description: 'Start a handoff.' },
    REGENERATE: { value: 'regenerate', description: 'Have the latest reply generated anew.' },
    RATE: { value: 'rate', description: 'Rate replies.' },
    UPLOAD: { value: 'upload', description: 'Upload files, and send them in messages.' },
    END: { value: 'end', description: 'End conversations.' },
  } as const,
});

const ViewerRef = builder.objectRef<Viewer>('Viewer').implement({
  description: 'Who is asking.',
  fields: (t) => ({
    kind: t.field({
      type: ViewerKindRef,
      description: 'The kind of credential.',
      resolve: ({ kind }) => {
        if (kind === 'STRANGER') throw new Error('A stranger only starts visits.');
        return kind;
      },
    }),
    contact: t.prismaField({
      type: 'Contact',
      nullable: true,
      description: 'The person a client token was issued for. Null for other credentials.',
      resolve: (query, { contactId }, _args, { services }) =>
        contactId === null ? null : services.prisma.contact.findUnique({ ...query, where: { id: contactId } }),
    }),
    scopes: t.field({
      type: [KeyScopeRef],
      description: 'What an API key allows, or the role of an operator. Empty for a client token.',
      resolve: ({ scopes }) => scopes.filter(isKeyScope),
    }),
    grants: t.field({
      type: [ClientGrantRef],
      description: 'What a client token was granted. Empty for other credentials.',
      resolve: ({ scopes }) => scopes.filter(isClientGrant),
    }),
    operator: t.prismaField({
      type: 'Operator',
      ...operatorsOnly('Who they are, for an operator. Null for other credentials.'),
      resolve: (query, { operatorId: id }, _args, { services }) =>
        id === null ? null : services.prisma.operator.findUnique({ ...query, where: { id } }),
    }),
    conversation: t.prismaField({
      type: 'Conversation',
      nullable: true,
      description: 'The conversation of a client token that is for only one. Null for other credentials.',
      resolve: (query, { confinedTo }, _args, { services }) =>
        confinedTo && 'conversationId' in confinedTo
          ? services.prisma.conversation.findUnique({ ...query, where: { id: confinedTo.conversationId } })
          : null,
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the credential expires. Null if it never does.',
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: ViewerRef,
    nullable: true,
    authScopes: { read: true, write: true, admin: true, answer: true, participate: true },
    description: 'Who is asking.',
    resolve: (_root, _args, { viewer }) => viewer,
  }),
);

const ApiKeyRef = builder.prismaNode('ApiKey', {
  description: 'A credential for servers. Its secret is shown once, when the key is created.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, organizationId: viewer.organizationId }),
  fields: (t) => ({
    name: t.exposeString('name', {
      description: 'For operators. The event log names the key as the actor of what it did.',
    }),
    scopes: t.field({
      type: [KeyScopeRef],
      description: 'What it allows.',
      resolve: ({ scopes }) => scopes.filter(isKeyScope),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the key was created.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the key was last used, to the minute. Null if never.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'From this time on the key is refused. Null if it does not expire.',
    }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the key was revoked. Null if it is not revoked.',
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
    { name: 'ApiKeyEdge', description: 'An entry of a page.' },
  ),
);

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'Only `name` is required.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'For operators. At most 1 KiB.' }),
    scopes: t.field({
      type: [KeyScopeRef],
      description: 'What the key allows. Cannot exceed what your own credential allows. Default: `READ` and `WRITE`.',
    }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'From this time on the key is refused. Not later than your own credential expires. Default: never.',
    }),
  }),
});

const CreateApiKeyPayload = builder.objectRef<{ id: string; secret: string }>('CreateApiKeyPayload').implement({
  description: 'The new key.',
  fields: (t) => ({
    apiKey: t.prismaField({
      type: ApiKeyRef,
      description: 'The key as stored, without its secret.',
      resolve: (query, { id }, _args, { services }) =>
        services.prisma.apiKey.findUniqueOrThrow({ ...query, where: { id } }),
    }),
    secret: t.exposeString('secret', {
      description: 'The secret, shown only once. Send it as `Authorization: Bearer <secret>`.',
    }),
  }),
});

builder.mutationField('createApiKey', (t) =>
  t.field({
    type: CreateApiKeyPayload,
    nullable: true,
    authScopes: { admin: true },
    description:
      'Creates an API key. One that an operator makes, or a key that they have made, is revoked when they are suspended or are no ' +
      'longer an admin.',
    errors: {
      types: [InvalidInputError],
      union: { name: 'CreateApiKeyResult', description: 'The result of `createApiKey`.' },
    },
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: 'The key to create.' }) },
    resolve: (_root, { input }, { services, viewer }) => {
      const { organizationId } = viewer;
      const key = { organizationId, ...readNewKey(input, viewer) };
      return inTransaction(services.pool, async (db) =>
        createApiKey(db, services.newId, { ...key, madeBy: await lockMakers(db, viewer) }),
      );
    },
  }),
);

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'The key to revoke.',
  fields: (t) => ({ apiKeyId: t.id({ required: true, description: 'ID of the key, `key_…`.' }) }),
});

const RevokeApiKeyPayload = builder.objectRef<{ id: string }>('RevokeApiKeyPayload').implement({
  description: 'The revoked key. It is refused from now on.',
  fields: (t) => ({
    apiKey: t.prismaField({
      type: ApiKeyRef,
      description: 'The key as stored, without its secret.',
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
      'Revokes an API key and the client tokens issued with it, for good. Every server refuses them within a second, and ends ' +
      'their sockets, streams and waiting requests. Revoking again is harmless.',
    errors: {
      types: [NotFoundError],
      union: { name: 'RevokeApiKeyResult', description: 'The result of `revokeApiKey`.' },
    },
    args: { input: t.arg({ type: RevokeApiKeyInput, required: true, description: 'The key to revoke.' }) },
    resolve: async (_root, { input }, { services, viewer: { organizationId } }) => {
      const id = decodeId('ApiKey', input.apiKeyId);
      if (!id || !(await revokeApiKey(services.prisma, { id, organizationId }))) throw new NotFoundError(['apiKeyId']);
      services.bus.publish({ kind: 'revoked', keyId: id });
      return { id };
    },
  }),
);
