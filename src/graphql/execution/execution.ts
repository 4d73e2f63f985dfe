import {
  getArgumentValues,
  GraphQLError,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
  isObjectType,
  locatedError,
  OperationTypeNode,
  responsePathAsArray,
} from 'graphql';
import type { ExecutionContext } from 'graphql/execution/execute.js';
import { inspect } from 'graphql/jsutils/inspect.js';
import { clockOf, type WorkClock } from '../../work-clock.ts';
import { isPromise } from './is-promise.ts';
import type { AbstractOutput, LeafOutput, ListOutput, Output } from './output.ts';
import type { FieldPlan, Plain, Plan, Selection } from './plan.ts';
import { PlainObjects } from './plain-objects.ts';

type Path = GraphQLResolveInfo['path'];
type Result = Record<string, unknown>;

/**
 * One execution of a plan. It does what graphql-js does, promise by promise, so that errors come in the same order too. What does not
 * depend on values the plan has found out before. When the time of the operation is over it begins no more fields.
 */
export class Execution {
  private readonly context: ExecutionContext;
  private readonly plan: Plan;
  private readonly clock: WorkClock;
  private readonly plainObjects: PlainObjects;

  constructor(context: ExecutionContext, plan: Plan) {
    this.context = context;
    this.clock = clockOf(context.contextValue);
    this.plan = plan;
    this.plainObjects = new PlainObjects(context, plan);
  }

  /** The data. Throws, or rejects, if it is null. */
  run(): Result | Promise<Result> {
    const { schema, operation, rootValue } = this.context;
    const type = schema.getRootType(operation.operation);
    if (type == null) {
      const message = `Schema is not configured to execute ${operation.operation} operation.`;
      throw new GraphQLError(message, { nodes: operation });
    }
    const selection = this.plan.root(this.context, type);
    return operation.operation === OperationTypeNode.MUTATION
      ? this.oneByOne(selection, rootValue)
      : this.together(selection, rootValue, undefined);
  }

  private oneByOne({ fields, isBare }: Selection, source: unknown): Result | Promise<Result> {
    const next = (result: Result, field: FieldPlan): Result | Promise<Result> => {
      const value = this.field(field, source, undefined);
      if (isPromise(value)) return value.then((settled) => withField(result, field, settled));
      return withField(result, field, value);
    };
    let result: Result | Promise<Result> = emptyResult(isBare);
    for (const field of fields) {
      result = isPromise<Result>(result) ? result.then((before) => next(before, field)) : next(result, field);
    }
    return result;
  }

  private together({ fields, isBare }: Selection, source: unknown, path: Path | undefined): Result | Promise<Result> {
    const result = emptyResult(isBare);
    let pending: FieldPlan[] | null = null;
    try {
      for (const field of fields) {
        const { plain, leaf } = field;
        const value = plain && leaf ? this.leaf(field, plain, leaf, source, path) : this.field(field, source, path);
        result[field.key] = value;
        if (typeof value === 'object' && isPromise(value)) (pending ??= []).push(field);
      }
    } catch (error) {
      if (!pending) throw error;
      // The others are waited for, since they too may fail.
      return settled(result, pending).finally(() => {
        throw error;
      });
    }
    return pending ? settled(result, pending) : result;
  }

  private field(field: FieldPlan, source: unknown, prev: Path | undefined): unknown {
    const { context } = this;
    const { definition, output, parentType } = field;
    const path: Path = { prev, key: field.key, typename: parentType.name };
    const info: GraphQLResolveInfo = {
      fieldName: definition.name,
      fieldNodes: field.nodes,
      returnType: definition.type,
      parentType,
      path,
      schema: context.schema,
      fragments: context.fragments,
      rootValue: context.rootValue,
      operation: context.operation,
      variableValues: context.variableValues,
    };
    let value: unknown;
    try {
      this.clock.check();
      const { resolve = context.fieldResolver } = definition;
      value = resolve(source, this.argumentsOf(field), context.contextValue, info);
    } catch (error) {
      return this.failed(error, output, field, path);
    }
    return this.settle(output, field, info, path, value);
  }

  /** The same as `field`, for a plain leaf, without what only resolvers ask for. */
  private leaf(field: FieldPlan, plain: Plain, leaf: LeafOutput, source: unknown, prev: Path | undefined): unknown {
    const { output, key, parentType } = field;
    try {
      const value = plain.read(source, this.context.contextValue, key);
      return isPromise(value) ? this.leafLater(field, leaf, value, prev) : leafOf(field, leaf, value);
    } catch (error) {
      return this.failed(error, output, field, { prev, key, typename: parentType.name });
    }
  }

  private leafLater(
    field: FieldPlan,
    leaf: LeafOutput,
    value: Promise<unknown>,
    prev: Path | undefined,
  ): Promise<unknown> {
    const { output, key, parentType } = field;
    return value
      .then((settled) => leafOf(field, leaf, settled))
      .then(undefined, (error: unknown) => this.failed(error, output, field, { prev, key, typename: parentType.name }));
  }

  private argumentsOf({ definition, nodes: [node] }: FieldPlan): Record<string, unknown> {
    return definition.args.length === 0 || !node
      ? {}
      : getArgumentValues(definition, node, this.context.variableValues);
  }

  /** Null for what may be null. Otherwise throws, so that what holds it becomes null. */
  private failed(thrown: unknown, { isNonNull }: Output, { nodes }: FieldPlan, path: Path): null {
    const error = locatedError(thrown, nodes, responsePathAsArray(path));
    if (isNonNull) throw error;
    this.context.collectedErrors.add(error, path);
    return null;
  }

  private complete(output: Output, field: FieldPlan, info: GraphQLResolveInfo, path: Path, value: unknown): unknown {
    if (value instanceof Error) throw value;
    if (value == null) {
      if (!output.isNonNull) return null;
      throw new Error(`Cannot return null for non-nullable field ${nameOf(info)}.`);
    }
    switch (output.kind) {
      case 'LEAF':
        return serialized(output.type, value);
      case 'LIST':
        return this.list(output, field, info, path, value);
      case 'ABSTRACT':
        return this.abstract(output, field, info, path, value);
      case 'OBJECT':
        return this.object(output.type, field, info, path, value);
    }
  }

  private list(output: ListOutput, field: FieldPlan, info: GraphQLResolveInfo, path: Path, value: unknown): unknown {
    const plain = this.plainObjects.list(output, field, value);
    if (plain) return plain;
    const { item } = output;
    if (!isIterableObject(value)) {
      throw new GraphQLError(`Expected Iterable, but did not find one for field "${nameOf(info)}".`);
    }
    const items: unknown[] = [];
    let isPending = false;
    try {
      for (const entry of value) {
        const completed = this.settle(item, field, info, { prev: path, key: items.length, typename: undefined }, entry);
        items.push(completed);
        if (isPromise(completed)) isPending = true;
      }
    } catch (error) {
      // The list is null with this error, whatever becomes of the others.
      for (const pending of items) if (isPromise(pending)) pending.then(undefined, () => undefined);
      throw error;
    }
    return isPending ? Promise.all(items) : items;
  }

  /** The completed value, or null if it fails where null is allowed. */
  private settle(output: Output, field: FieldPlan, info: GraphQLResolveInfo, path: Path, value: unknown): unknown {
    try {
      const completed = isPromise(value)
        ? value.then((settled) => this.complete(output, field, info, path, settled))
        : this.complete(output, field, info, path, value);
      if (!isPromise(completed)) return completed;
      return completed.then(undefined, (error: unknown) => this.failed(error, output, field, path));
    } catch (error) {
      return this.failed(error, output, field, path);
    }
  }

  private abstract(
    output: AbstractOutput,
    field: FieldPlan,
    info: GraphQLResolveInfo,
    path: Path,
    value: unknown,
  ): unknown {
    const { contextValue, typeResolver } = this.context;
    const resolveType = output.type.resolveType ?? typeResolver;
    const name: unknown = resolveType(value, contextValue, info, output.type);
    return isPromise(name)
      ? name.then((settled) =>
          this.object(this.runtimeType(output, field, info, value, settled), field, info, path, value),
        )
      : this.object(this.runtimeType(output, field, info, value, name), field, info, path, value);
  }

  private runtimeType(
    { type, runtimeTypes }: AbstractOutput,
    { nodes }: FieldPlan,
    info: GraphQLResolveInfo,
    value: unknown,
    name: unknown,
  ): GraphQLObjectType {
    const known = typeof name === 'string' ? runtimeTypes.get(name) : undefined;
    if (known) return known;
    const { schema } = this.context;
    const must = `Abstract type "${type.name}" must resolve to an Object type at runtime for field "${nameOf(info)}"`;
    if (name == null) {
      const advice = `Either the "${type.name}" type should provide a "resolveType" function or each possible type should provide an "isTypeOf" function.`;
      throw new GraphQLError(`${must}. ${advice}`, { nodes });
    }
    if (isObjectType(name)) {
      throw new GraphQLError(
        'Support for returning GraphQLObjectType from resolveType was removed in graphql-js@16.0.0 please return type name instead.',
      );
    }
    if (typeof name !== 'string') {
      throw new GraphQLError(`${must} with value ${inspect(value)}, received "${inspect(name)}".`);
    }
    const runtimeType = schema.getType(name);
    const was = `Abstract type "${type.name}" was resolved to a`;
    if (runtimeType == null) {
      throw new GraphQLError(`${was} type "${name}" that does not exist inside the schema.`, { nodes });
    }
    if (!isObjectType(runtimeType)) throw new GraphQLError(`${was} non-object type "${name}".`, { nodes });
    if (!schema.isSubType(type, runtimeType)) {
      const message = `Runtime Object type "${runtimeType.name}" is not a possible type for "${type.name}".`;
      throw new GraphQLError(message, { nodes });
    }
    runtimeTypes.set(name, runtimeType);
    return runtimeType;
  }

  private object(
    type: GraphQLObjectType,
    field: FieldPlan,
    info: GraphQLResolveInfo,
    path: Path,
    value: unknown,
  ): Result | Promise<Result> {
    const selection = this.plan.below(this.context, field, type);
    if (!type.isTypeOf) return this.together(selection, value, path);
    const isOfType = type.isTypeOf(value, this.context.contextValue, info);
    if (isPromise<boolean>(isOfType)) {
      return isOfType.then((settled) => {
        if (!settled) throw notOfType(type, field, value);
        return this.together(selection, value, path);
      });
    }
    if (!isOfType) throw notOfType(type, field, value);
    return this.together(selection, value, path);
  }
}

function notOfType({ name }: GraphQLObjectType, { nodes }: FieldPlan, value: unknown): GraphQLError {
  return new GraphQLError(`Expected value of type "${name}" but got: ${inspect(value)}.`, { nodes });
}

function nameOf({ parentType, fieldName }: GraphQLResolveInfo): string {
  return `${parentType.name}.${fieldName}`;
}

function leafOf({ parentType, definition }: FieldPlan, { type, isNonNull }: LeafOutput, value: unknown): unknown {
  if (value instanceof Error) throw value;
  if (value != null) return serialized(type, value);
  if (!isNonNull) return null;
  throw new Error(`Cannot return null for non-nullable field ${parentType.name}.${definition.name}.`);
}

function serialized(type: GraphQLLeafType, value: unknown): unknown {
  const leaf: unknown = type.serialize(value);
  if (leaf != null) return leaf;
  throw new Error(
    `Expected \`${inspect(type)}.serialize(${inspect(value)})\` to return non-nullable value, returned: ${inspect(leaf)}`,
  );
}

/** An object without a prototype is slow to fill and to print, so that only a result with such a name is one. */
function emptyResult(isBare: boolean): Result {
  return isBare ? { __proto__: null } : {};
}

function withField(result: Result, { key }: FieldPlan, value: unknown): Result {
  result[key] = value;
  return result;
}

/** The result once all fields that are waited for have their values. */
function settled(result: Result, pending: readonly FieldPlan[]): Promise<Result> {
  return Promise.all(pending.map(({ key }) => result[key])).then((values) => {
    for (const [index, { key }] of pending.entries()) result[key] = values[index];
    return result;
  });
}

function isIterableObject(value: unknown): value is Iterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Symbol.iterator in value &&
    typeof value[Symbol.iterator] === 'function'
  );
}
