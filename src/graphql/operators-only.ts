import { defaultFieldResolver, type GraphQLSchema, isNonNullType, isObjectType } from 'graphql';
import type { GraphQLContext } from './context.ts';

/**
 * Makes true what descriptions say: a field whose description begins with "OPERATORS ONLY." is null for a client token. So
 * that it can be, it must be nullable.
 */
export function enforceOperatorsOnly(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      if (!field.description?.startsWith('OPERATORS ONLY.')) continue;
      if (isNonNullType(field.type))
        throw new Error(`${type.name}.${field.name} is for operators only and not nullable`);
      const { resolve = defaultFieldResolver } = field;
      field.resolve = (source, args, context: GraphQLContext, info) =>
        context.viewer.confinedTo ? null : resolve(source, args, context, info);
    }
  }
  return schema;
}
