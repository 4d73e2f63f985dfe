import { defaultFieldResolver, type GraphQLSchema } from 'graphql';
import type { GraphQLContext } from './context.ts';
import { noLongerServed } from './errors.ts';

/** Checks the credential again before each mutation of an operation: earlier ones may have waited for replies. */
export function enforceStanding(schema: GraphQLSchema): GraphQLSchema {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    const { resolve = defaultFieldResolver } = field;
    field.resolve = (source, args, context: GraphQLContext, info) => {
      const fault = context.services.standing.faultOf(context.viewer);
      if (fault) throw noLongerServed(fault);
      return resolve(source, args, context, info);
    };
  }
  return schema;
}
