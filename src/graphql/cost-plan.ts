import {
  type ArgumentNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  getNamedType,
  getOperationAST,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  isInterfaceType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
  valueFromASTUntyped,
  type ValueNode,
} from 'graphql';

export type Variables = Readonly<Record<string, unknown>>;

/** The size of an operation, known before it runs. */
export interface OperationCost {
  /** Levels of nested fields. */
  depth: number;
  /** Number of fields. Aliases and each spread of a fragment count. Counting stops when there are far too many. */
  fields: number;
  /** The sum of the fields' weights, each times the sizes of the pages around it. */
  cost: number;
  /** The field that one selection holds most often under different names, and how often. */
  repeats: { field: string; times: number };
  /** The longest alias, in characters. */
  longestAlias: number;
}

/** The cost of a field, set in its `extensions` where it differs from the default. */
export interface FieldWeight {
  /** Of the field itself. Default: 1. */
  weight?: number;
  /** Assumed length of a list without pages. Default: 1. */
  entries?: number;
}

/** Counting stops beyond this many fields and fragments, or this depth: the operation is refused anyway. */
const [MOST_VISITS, MOST_DEPTH] = [10_000, 100];
const DEFAULT_PAGE = 50;

/** A cost: `fixed`, plus for each of `varying` a size that depends on variables, times the cost inside it. */
interface Formula {
  fixed: number;
  varying: { size: (variables: Variables) => number; of: Formula }[];
}

type Plan = Omit<OperationCost, 'cost'> & { formula: Formula };

const plans = new WeakMap<DocumentNode, Map<string, Plan | null>>();

/** Null if the document has no such operation. A document is analysed once; later calls only insert the variables. */
export function costOfOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName: string | null | undefined,
  variables: Variables,
): OperationCost | null {
  const byName = plans.get(document) ?? new Map<string, Plan | null>();
  plans.set(document, byName);
  const name = operationName ?? '';
  let plan = byName.get(name);
  if (plan === undefined) {
    const operation = getOperationAST(document, operationName);
    plan = operation ? new Planner(schema, document, operation).plan() : null;
    // Caches only names that occur in the document; others are the client's to invent without end.
    if (plan) byName.set(name, plan);
  }
  if (!plan) return null;
  const { formula, ...rest } = plan;
  return { ...rest, cost: evaluate(formula, variables) };
}

function evaluate({ fixed, varying }: Formula, variables: Variables): number {
  return varying.reduce((sum, { size, of }) => sum + size(variables) * evaluate(of, variables), fixed);
}

/** Walks through an operation as execution would, entering a fragment each time it is spread. */
class Planner {
  private readonly schema: GraphQLSchema;
  private readonly operation: OperationDefinitionNode;
  private readonly fragments = new Map<string, FragmentDefinitionNode>();
  private readonly defaults = new Map<string, unknown>();
  private fields = 0;
  private visits = 0;
  private depth = 0;
  private longestAlias = 0;
  private repeats = { field: '', times: 0 };

  constructor(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) {
    this.schema = schema;
    this.operation = operation;
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) this.fragments.set(definition.name.value, definition);
    }
    for (const { variable, defaultValue } of operation.variableDefinitions ?? []) {
      if (defaultValue) this.defaults.set(variable.name.value, valueFromASTUntyped(defaultValue));
    }
  }

  plan(): Plan {
    const { operation, schema } = this;
    const formula = this.merged([[operation.selectionSet, schema.getRootType(operation.operation) ?? undefined]], 1);
    const { depth, repeats, longestAlias } = this;
    return { depth, fields: this.isBeyond() ? this.visits : this.fields, repeats, longestAlias, formula };
  }

  /** The cost of several selections of one object. Fields with the same response name count once. */
  private merged(selections: [SelectionSetNode, GraphQLNamedType | undefined][], depth: number): Formula {
    const total: Formula = { fixed: 0, varying: [] };
    this.depth = Math.max(this.depth, depth);
    const names = new Map<string, Set<string>>();
    const collected = new Map<string, Collected>();
    for (const [selectionSet, type] of selections) this.collect(selectionSet, type, collected, names);
    for (const [field, { size: times }] of names) {
      if (times > this.repeats.times) this.repeats = { field, times };
    }
    for (const { type, field, args, selectionSets } of collected.values()) {
      if (this.isBeyond()) break;
      const { weight = 1, entries = 1 } = weightOf(type, field);
      total.fixed += weight;
      if (selectionSets.length === 0) continue;
      const within = field && getNamedType(field.type);
      const inner = this.merged(
        selectionSets.map((set) => [set, within]),
        depth + 1,
      );
      total.varying.push({ size: this.sizeOf(field, args, entries), of: inner });
    }
    return total;
  }

  private collect(
    { selections }: SelectionSetNode,
    type: GraphQLNamedType | undefined,
    into: Map<string, Collected>,
    names: Map<string, Set<string>>,
  ): void {
    for (const selection of selections) {
      this.visits += 1;
      if (this.isBeyond()) return;
      if (selection.kind === Kind.FIELD) {
        this.fields += 1;
        const name = selection.name.value;
        const key = selection.alias?.value ?? name;
        this.longestAlias = Math.max(this.longestAlias, key.length);
        if (name !== '__typename') names.set(name, (names.get(name) ?? new Set()).add(key));
        const owner = type?.name ?? '';
        const place = `${owner}.${key}`;
        const known = into.get(place) ?? {
          type: owner,
          field: fieldOf(type, name),
          args: selection.arguments ?? [],
          selectionSets: [],
        };
        if (selection.selectionSet) known.selectionSets.push(selection.selectionSet);
        into.set(place, known);
      } else {
        const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : this.fragments.get(selection.name.value);
        const condition = fragment?.typeCondition?.name.value;
        const inner = condition === undefined ? type : this.schema.getType(condition);
        if (fragment) this.collect(fragment.selectionSet, inner, into, names);
      }
    }
  }

  private isBeyond(): boolean {
    return this.visits > MOST_VISITS || this.depth > MOST_DEPTH;
  }

  private sizeOf(field: AnyField | undefined, args: readonly ArgumentNode[], entries: number) {
    const given = (name: string) => {
      const node = args.find((arg) => arg.name.value === name);
      return node ? this.reader(node.value) : () => undefined;
    };
    if (field?.args.some(({ name }) => name === 'first')) {
      const [first, last] = [given('first'), given('last')];
      return (variables: Variables) => atLeastOne(first(variables) ?? last(variables) ?? DEFAULT_PAGE);
    }
    const ids = given('ids');
    return (variables: Variables) => {
      const list = ids(variables);
      return Array.isArray(list) ? atLeastOne(list.length) : entries;
    };
  }

  /** Reads the value of an argument, which may be a variable. */
  private reader(node: ValueNode): (variables: Variables) => unknown {
    if (node.kind !== Kind.VARIABLE) {
      const value: unknown = valueFromASTUntyped(node);
      return () => value;
    }
    const name = node.name.value;
    const fallback = this.defaults.get(name);
    return (variables) => (variables[name] === undefined ? fallback : variables[name]);
  }
}

type AnyField = GraphQLField<unknown, unknown>;

interface Collected {
  /** The type that the field belongs to. */
  type: string;
  field: AnyField | undefined;
  args: readonly ArgumentNode[];
  selectionSets: SelectionSetNode[];
}

function atLeastOne(size: unknown): number {
  return typeof size === 'number' ? Math.max(1, size) : 1;
}

/** About how long the lists of an introspection query are. Their fields belong to the library and cannot carry a weight. */
const introspection: Record<string, number> = { types: 20, fields: 5, inputFields: 5, enumValues: 5, possibleTypes: 5 };

function fieldOf(type: GraphQLNamedType | undefined, name: string): AnyField | undefined {
  if (name === '__schema') return SchemaMetaFieldDef;
  if (name === '__type') return TypeMetaFieldDef;
  return isObjectType(type) || isInterfaceType(type) ? type.getFields()[name] : undefined;
}

function weightOf(type: string, field: AnyField | undefined): FieldWeight {
  if (!field) return {};
  if (type.startsWith('__')) return { entries: introspection[field.name] ?? 1 };
  const { weight, entries } = field.extensions;
  return {
    ...(typeof weight === 'number' && { weight }),
    ...(typeof entries === 'number' && { entries }),
  };
}
