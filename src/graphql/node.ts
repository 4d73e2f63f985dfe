import { finders } from '../access/finders.ts';
import { decodeAnyId, type IdType } from '../ids.ts';
import { builder } from './builder.ts';
import type { GraphQLContext } from './context.ts';
import { badUserInput } from './errors.ts';

/** The most ids that `nodes` accepts. */
const MAX_NODES = 100;

/** In the order of the ids, null for each that names nothing or nothing to be seen. Takes one statement for each type. */
async function findNodes(context: GraphQLContext, ids: readonly string[]): Promise<(object | null)[]> {
  const named = ids.map(decodeAnyId);
  const wanted = new Map<IdType, Set<string>>();
  for (const id of named) if (id) wanted.set(id.type, (wanted.get(id.type) ?? new Set()).add(id.uuid));
  const found = new Map<string, object>();
  await Promise.all(
    [...wanted].map(async ([type, uuids]) => {
      for (const row of await finders[type](context, [...uuids])) found.set(`${type} ${row.id}`, row);
    }),
  );
  return named.map((id) => {
    const row = id && found.get(`${id.type} ${id.uuid}`);
    return row ? { ...row, __typename: id.type } : null;
  });
}

builder.queryField('node', (t) =>
  t.field({
    type: builder.nodeInterfaceRef(),
    nullable: true,
    authScopes: { read: true, participate: true },
    description: 'Any object by its ID. Null if it does not exist or you may not see it.',
    args: { id: t.arg.id({ required: true, description: 'ID of an object of any type.' }) },
    resolve: async (_root, { id }, context) => (await findNodes(context, [id]))[0],
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
      return findNodes(context, ids);
    },
  }),
);
