import { visibleTo } from '../access/visibility.ts';
import { decodeAnyId, type IdType } from '../ids.ts';
import { builder } from './builder.ts';
import type { GraphQLContext } from './context.ts';
import { badUserInput } from './errors.ts';

type Finder = (context: GraphQLContext, id: string) => Promise<object | null>;

const finders: Record<IdType, Finder> = {
  Agent: ({ services, viewer }, id) =>
    services.prisma.agent.findUnique({ where: { id, AND: visibleTo(viewer).agent } }),
  ApiKey: ({ services, viewer: { organizationId, scopes } }, id) =>
    scopes.includes('admin') ? services.prisma.apiKey.findUnique({ where: { id, organizationId } }) : nothing,
  Article: ({ services, viewer }, id) =>
    services.prisma.article.findUnique({ where: { id, corpus: visibleTo(viewer).corpus } }),
  Contact: ({ services, viewer }, id) =>
    services.prisma.contact.findUnique({ where: { id, AND: visibleTo(viewer).contact } }),
  Conversation: ({ services, viewer }, id) =>
    services.prisma.conversation.findUnique({ where: { id, AND: visibleTo(viewer).conversation } }),
  Corpus: ({ services, viewer }, id) =>
    services.prisma.corpus.findUnique({ where: { id, AND: visibleTo(viewer).corpus } }),
  Handoff: ({ services, viewer }, id) =>
    services.prisma.handoff.findUnique({ where: { id, AND: visibleTo(viewer).handoff } }),
  Inbox: ({ services, viewer }, id) =>
    services.prisma.inbox.findUnique({ where: { id, AND: visibleTo(viewer).inbox } }),
  Message: ({ services, viewer }, id) =>
    services.prisma.message.findUnique({ where: { id, AND: visibleTo(viewer).message } }),
  UnansweredQuestion: ({ services, viewer }, id) =>
    services.prisma.unansweredQuestion.findUnique({ where: { id, corpus: visibleTo(viewer).corpus } }),
};

const nothing = Promise.resolve(null);

/** The most ids that `nodes` accepts. */
const MAX_NODES = 100;

async function findNode(context: GraphQLContext, id: string): Promise<object | null> {
  const named = decodeAnyId(id);
  if (!named) return null;
  const node = await finders[named.type](context, named.uuid);
  return node && { ...node, __typename: named.type };
}

builder.queryField('node', (t) =>
  t.field({
    type: builder.nodeInterfaceRef(),
    nullable: true,
    authScopes: { read: true, participate: true },
    description: 'Any object by its ID. Null if it does not exist or you may not see it.',
    args: { id: t.arg.id({ required: true, description: 'ID of an object of any type.' }) },
    resolve: (_root, { id }, context) => findNode(context, id),
  }),
);

builder.queryField('nodes', (t) =>
  t.field({
    type: [builder.nodeInterfaceRef()],
    nullable: { list: false, items: true },
    authScopes: { read: true, participate: true },
    description: `Several objects by ID, in the order asked for, with null for each that \`node\` would not find. At most ${MAX_NODES}.`,
    args: { ids: t.arg.idList({ required: true, description: 'IDs of objects of any types.' }) },
    resolve: (_root, { ids }, context) => {
      if (ids.length > MAX_NODES) throw badUserInput(`Asks for ${ids.length} nodes; at most ${MAX_NODES} are allowed.`);
      return Promise.all(ids.map((id) => findNode(context, id)));
    },
  }),
);
