import type { Author } from '../../access/caller.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId, isUuid } from '../../ids.ts';

const ApiKeyActor = builder.objectRef<Author>('ApiKeyActor').implement({
  description: 'A program with an API key did it.',
  fields: (t) => ({
    apiKeyId: t.id({
      nullable: true,
      description: '`key_…`; null for a page that the server itself signed in.',
      resolve: ({ externalId }) => (isKeyId(externalId) ? encodeId('ApiKey', externalId) : null),
    }),
    name: t.string({
      description: 'The name of the key at that time.',
      resolve: ({ displayName }) => displayName ?? '',
    }),
  }),
});

const EndUserActor = builder.objectRef<Author>('EndUserActor').implement({
  description: 'An end user with a client token did it.',
  fields: (t) => ({
    contact: t.prismaField({
      type: 'Contact',
      nullable: true,
      description: 'Who it was; null for a token of a conversation whose end user is unknown.',
      resolve: (query, { contactId }, _args, { services }) =>
        contactId ? services.prisma.contact.findUnique({ ...query, where: { id: contactId } }) : null,
    }),
  }),
});

const AgentActor = builder.objectRef<Author>('AgentActor').implement({
  description: 'The agent did it, in the course of a reply.',
  fields: (t) => ({
    agent: t.prismaField({
      type: 'Agent',
      nullable: true,
      description: 'Which agent; null when its reply ended before it was loaded.',
      resolve: (query, { agentId }, _args, { services }) =>
        agentId ? services.prisma.agent.findUnique({ ...query, where: { id: agentId } }) : null,
    }),
  }),
});

const ServerActor = builder.objectRef<Author>('ServerActor').implement({
  description: 'The server did it by itself.',
  fields: (t) => ({
    task: t.string({
      description: 'In the course of what: `Recovery` settles the replies of servers that died.',
      resolve: ({ displayName }) => displayName ?? '',
    }),
  }),
});

/** Who did what the log tells. */
export const ActorRef = builder.unionType('Actor', {
  description: 'Who did something, as known at that time. Write a default branch: more kinds may come.',
  types: [ApiKeyActor, EndUserActor, AgentActor, ServerActor],
  resolveType: ({ kind, externalId }) => {
    if (kind === 'END_USER') return 'EndUserActor';
    if (kind === 'AI_AGENT') return 'AgentActor';
    return externalId == null ? 'ServerActor' : 'ApiKeyActor';
  },
});

function isKeyId(id: string | null | undefined): id is string {
  return id != null && isUuid(id);
}
