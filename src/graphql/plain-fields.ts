import { type GraphQLFieldResolver, type GraphQLSchema, isIntrospectionType, isObjectType } from 'graphql';
import { encodeId, type IdType, isIdType } from '../ids.ts';
import type { GraphQLContext } from './context.ts';

/** Gives a field its value at once, from its object and the context alone. `key` is the name of the field in the response. */
export type PlainRead = (source: unknown, context: GraphQLContext, key: string) => unknown;

type Resolver = GraphQLFieldResolver<unknown, GraphQLContext>;

interface Field {
  resolve?: Resolver | undefined;
}

/** By the resolver that does the same: a field whose resolver is replaced by another is not plain any more. */
const reads = new WeakMap<Resolver, PlainRead>();

/** How a field is read if it is plain: one that shows a property of its object as it is, or the object's id. */
export function plainReadOf(field: Field): PlainRead | undefined {
  return field.resolve && reads.get(field.resolve);
}

/** Makes a field plain, or changes how a plain one is read. */
export function readPlainly(field: Field, read: PlainRead): void {
  const resolve: Resolver = (source, _args, context, info) => read(source, context, String(info.path.key));
  reads.set(resolve, read);
  field.resolve = resolve;
}

/**
 * Finds the plain fields, which are most of those of a page. They can be executed without what a resolver may ask for: arguments, a
 * path, and all that is known of the operation.
 */
export function withPlainFields(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || isIntrospectionType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      const { pothosExposedField: property, pothosResolveWrapped: isWrapped } = field.extensions;
      if (field.name === 'id' && isIdType(type.name)) {
        readIdPlainly(type.name, field);
      } else if (typeof property === 'string' && isWrapped === false) {
        readPlainly(field, (source) => propertyOf(source, property));
      }
    }
  }
  return schema;
}

function readIdPlainly(type: IdType, field: Field): void {
  // The library encodes in a promise, which would make a promise of every object of a page.
  readPlainly(field, (source) => encodeId(type, String(propertyOf(source, 'id'))));
}

function propertyOf(source: unknown, name: string): unknown {
  return isRecord(source) ? source[name] : undefined;
}

function isRecord(source: unknown): source is Record<string, unknown> {
  return typeof source === 'object' && source !== null;
}
