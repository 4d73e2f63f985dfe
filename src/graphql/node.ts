import { finders } from '../access/finders.ts';
import { decodeAnyId } from '../ids.ts';
import { builder } from './builder.ts';
import type { GraphQLContext } from './context.ts';
import { badUserInput } from './errors.ts';

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
