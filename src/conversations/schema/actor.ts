import type { Author } from '../../access/caller.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId, isUuid } from '../../ids.ts';

const ApiKeyActor = builder.objectRef<Author>('ApiKeyActor').implement({
  description: 'A program with an API key.',
  fields: (t) => ({
    apiKeyId: t.id({
      nullable: true,
      description: 'ID of the key, `key_…`. Null for a page that the server itself signed in.',
      resolve: ({ externalId }) => (isKeyId(externalId) ? encodeId('ApiKey', externalId) : null),
    }),
    name: t.string({
      description: 'The name of the key at the time.',
      resolve: ({ displayName }) => displayName ?? '',
    }),
  }),
});

const EndUserActor = builder.objectRef<Author>('EndUserActor').implement({
  description: 'An end user with a client token.',
  fields: (t) => ({
    contact: t.prismaField({
      type: 'Contact',
      nullable: true,
      description: 'The end user. Null if the token was for a conversation whose end user is unknown.',
      resolve: (query, { contactId }, _args, { services }) =>
        contactId
          ? services.prisma.contact.findUnique({ ...query, where: { id: contactId, erasingSince: null } })
          : null,
    }),
  }),
});

const OperatorActor = builder.objectRef<Author>('OperatorActor').implement({
  description: 'An operator with a credential of their own.',
  fields: (t) => ({
    operator: t.prismaField({
      type: 'Operator',
      nullable: true,
      description: 'The operator. Null if they are gone.',
      resolve: (query, { operatorId: id }, _args, { services }) =>
        id ? services.prisma.operator.findUnique({ ...query, where: { id } }) : null,
    }),
    name: t.string({
      description: 'Their name at the time.',
      resolve: ({ displayName }) => displayName ?? '',
    }),
  }),
});

const AgentActor = builder.objectRef<Author>('AgentActor').implement({
  description: 'The agent, while it replied.',
  fields: (t) => ({
    agent: t.prismaField({
      type: 'Agent',
      nullable: true,
      description: 'The agent. Null if its reply ended before the agent was loaded.',
      resolve: (query, { agentId }, _args, { services }) =>
        agentId ? services.prisma.agent.findUnique({ ...query, where: { id: agentId } }) : null,
    }),
  }),
});

const ServerActor = builder.objectRef<Author>('ServerActor').implement({
  description: 'The server, on its own initiative.',
  fields: (t) => ({
    task: t.string({
      description:
        'What the server was doing. `Recovery`: ending the replies of servers that died. `Retention`: erasing what is kept no longer.',
      resolve: ({ displayName }) => displayName ?? '',
    }),
  }),
});

/** Who caused an event of the log. */
export const ActorRef = builder.unionType('Actor', {
  description: 'Who did something, as known at the time. Handle unknown types too: more kinds may come.',
  types: [ApiKeyActor, EndUserActor, OperatorActor, AgentActor, ServerActor],
  resolveType: ({ kind, externalId }) => {
    if (kind === 'END_USER') return 'EndUserActor';
    if (kind === 'AI_AGENT') return 'AgentActor';
    if (kind === 'HUMAN_AGENT') return 'OperatorActor';
    return externalId == null ? 'ServerActor' : 'ApiKeyActor';
  },
});

function isKeyId(id: string | null | undefined): id is string {
  return id != null && isUuid(id);
}
