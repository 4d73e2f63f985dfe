import {
  defaultFieldResolver,
  type GraphQLObjectType,
  type GraphQLSchema,
  isIntrospectionType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { endUserFields } from '../access/visible-fields.ts';
import type { GraphQLContext } from './context.ts';
import { graphqlError } from './errors.ts';
import { plainReadOf, readPlainly } from './plain-fields.ts';

/** Options of a field that end users may not see. It is null for a client token, and its description says so. */
export function operatorsOnly(description = '') {
  return {
    nullable: true,
    description: `OPERATORS ONLY. ${description}`.trimEnd(),
    extensions: { operatorsOnly: true },
  } as const;
}

/**
 * Hides from client tokens every field of every object that is not in the list of end users' fields. So a new field
 * is hidden until somebody lists it. Throws for a field that is both listed and made with `operatorsOnly`.
 */
export function hideFromEndUsers(schema: GraphQLSchema): GraphQLSchema {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || isIntrospectionType(type) || roots.includes(type)) continue;
    for (const field of Object.values(type.getFields())) {
      const name = `${type.name}.${field.name}`;
      if (!isListed(type, field.name)) {
        const [{ resolve = defaultFieldResolver }, read] = [field, plainReadOf(field)];
        const cannotBeNull = isNonNullType(field.type);
        const hidden = () => {
          if (cannotBeNull) throw graphqlError('FORBIDDEN', `\`${name}\` is for operators.`);
          return null;
        };
        if (read) {
          readPlainly(field, (source, context, key) =>
            context.viewer.confinedTo ? hidden() : read(source, context, key),
          );
        } else {
          field.resolve = (source, args, context: GraphQLContext, info): unknown =>
            context.viewer.confinedTo ? hidden() : resolve(source, args, context, info);
        }
      } else if (field.extensions.operatorsOnly === true) {
        throw new Error(`${name} is for operators, and listed among the fields of end users`);
      }
    }
  }
  return schema;
}

/** Whether the list names the field, for its type or for an interface of its type. */
function isListed(type: GraphQLObjectType, field: string): boolean {
  return [type, ...type.getInterfaces()].some(({ name }) => endUserFields[name]?.includes(field));
}
