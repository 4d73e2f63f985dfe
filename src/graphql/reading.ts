import {
  type DocumentNode,
  type GraphQLError,
  type GraphQLSchema,
  isObjectType,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import type { Viewer } from '../access/viewer.ts';
import { cannotRead } from './errors.ts';

/** Fields of an object in a mutation's result that every credential may read, to proceed from there. */
const openFields = ['__typename', 'id', 'version'];

/**
 * What an operation reads that its viewer may not read. A credential with WRITE but without READ gets from a mutation only ids,
 * versions, cursors and failures. API keys can be read with ADMIN. Decided before anything runs, so that no committed
 * change is answered with an error.
 */
export function faultsOfReading(
  schema: GraphQLSchema,
  document: DocumentNode,
  { scopes }: Pick<Viewer, 'scopes'>,
): GraphQLError[] {
  if (['read', 'participate', 'visit'].some((scope) => scopes.some((own) => own === scope))) return [];
  const found = new Map<string, GraphQLError>();
  const types = new TypeInfo(schema);
  visit(
    document,
    visitWithTypeInfo(types, {
      Field(node) {
        const type = types.getParentType();
        if (!isObjectType(type) || openFields.includes(node.name.value)) return;
        if (type.name === 'ApiKey' && scopes.includes('admin')) return;
        const field = `${type.name}.${node.name.value}`;
        if (type.getInterfaces().some(({ name }) => name === 'Node')) found.set(field, cannotRead(field, node));
      },
    }),
  );
  return [...found.values()];
}
