import {
  type GraphQLAbstractType,
  type GraphQLFieldResolver,
  type GraphQLSchema,
  isAbstractType,
  isIntrospectionType,
  isObjectType,
} from 'graphql';
import { encodeId, type IdType, isIdType } from '../ids.ts';
import type { GraphQLContext } from './context.ts';

/** Gives a field its value from its object and the context alone. `key` is the name of the field in the response. */
export type PlainRead = (source: unknown, context: GraphQLContext, key: string) => unknown;

/** Names the type of a value from the value alone. */
export type PlainTypeRead = (value: unknown) => string;

type Resolver = GraphQLFieldResolver<unknown, GraphQLContext>;

interface Field {
  resolve?: Resolver | undefined;
}

/** How a plain field is read: as its resolver does it, which may count it, or by whoever has counted it. */
export interface PlainReads {
  read: PlainRead;
  /** Null if nothing is counted. */
  uncounted: PlainRead | null;
}

/** By the resolver that does the same: a field whose resolver is replaced by another is not plain any more. */
const reads = new WeakMap<object, PlainReads>();
const typeReads = new WeakMap<object, PlainTypeRead>();

/** How a field is read if it is plain: one that shows a property of its object as it is, the object's id, or what is made `plainly`. */
export function plainReadOf(field: Field): PlainRead | undefined {
  return plainReadsOf(field)?.read;
}

/** The same, with how it is read by whoever counts it. */
export function plainReadsOf({ resolve }: Field): PlainReads | undefined {
  return resolve && reads.get(resolve);
}

/** How a value of the type tells which it is, if that is told `typePlainly`. */
export function plainTypeReadOf({ resolveType }: GraphQLAbstractType): PlainTypeRead | undefined {
  return resolveType ? typeReads.get(resolveType) : undefined;
}

/** Makes a field plain, or changes how a plain one is read. */
export function readPlainly(field: Field, read: PlainRead, uncounted: PlainRead | null = null): void {
  field.resolve = resolverOf(read, uncounted);
}

/** A resolver that needs only the object and the context. It should have its value at once, whenever it can. */
export function plainly<S, R>(
  read: (source: S, context: GraphQLContext) => R,
): (source: S, args: object, context: GraphQLContext) => R;
export function plainly(read: PlainRead): Resolver {
  return resolverOf(read);
}

/** What tells the type of a value from the value alone. */
export function typePlainly<S, N extends string>(read: (value: S) => N): (value: S) => N;
export function typePlainly(read: PlainTypeRead): PlainTypeRead {
  typeReads.set(read, read);
  return read;
}

/**
 * Finds the plain fields, which are most of those of a page. They can be executed without what a resolver may ask for: arguments, a
 * path, and all that is known of the operation.
 */
export function withPlainFields(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (isAbstractType(type)) resolvePlainly(type);
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

/** The library wraps what resolves a type, for ways to tell it that the project does not use. */
function resolvePlainly(type: GraphQLAbstractType): void {
  const given = propertyOf(type.extensions.pothosOptions, 'resolveType');
  const read = typeof given === 'function' ? typeReads.get(given) : undefined;
  if (!read) return;
  type.resolveType = (value) => read(value);
  typeReads.set(type.resolveType, read);
}

function readIdPlainly(type: IdType, field: Field): void {
  // The library encodes in a promise, which would make a promise of every object of a page.
  readPlainly(field, (source) => encodeId(type, String(propertyOf(source, 'id'))));
}

function resolverOf(read: PlainRead, uncounted: PlainRead | null = null): Resolver {
  const resolve: Resolver = (source, _args, context, info) => read(source, context, String(info.path.key));
  reads.set(resolve, { read, uncounted });
  return resolve;
}

function propertyOf(source: unknown, name: string): unknown {
  return isRecord(source) ? source[name] : undefined;
}

function isRecord(source: unknown): source is Record<string, unknown> {
  return typeof source === 'object' && source !== null;
}
