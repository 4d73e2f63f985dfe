import {
  type FieldNode,
  getNamedType,
  type GraphQLField,
  type GraphQLObjectType,
  isLeafType,
  TypeNameMetaFieldDef,
} from 'graphql';
import { collectFields, collectSubfields } from 'graphql/execution/collectFields.js';
import { type ExecutionContext, getFieldDef } from 'graphql/execution/execute.js';
import { bytesOfName } from '../budget.ts';
import { plainReadsOf } from '../plain-fields.ts';
import type { LeafOutput, Output, Outputs } from './output.ts';

/** A field of a selection: all that is known of it before it is resolved. */
export interface FieldPlan {
  /** Its name in the response. */
  key: string;
  nodes: readonly FieldNode[];
  parentType: GraphQLObjectType;
  definition: GraphQLField<unknown, unknown>;
  output: Output;
  /** Reads its value, if it is plain. */
  plain: Plain | null;
  /** If it is plain, and its value is a leaf. */
  leaf: LeafOutput | null;
  /** What is selected of its value, by the type that the value turns out to be. */
  selections: Map<GraphQLObjectType, Selection>;
}

/** How a plain field is read, from its object and the context. */
export interface Plain {
  read(source: unknown, context: unknown, key: string): unknown;
  /** The same for whoever counts the field, if it is counted. */
  uncounted(source: unknown, context: unknown, key: string): unknown;
  isCounted: boolean;
  /** Whether its value is counted too. */
  isWeighed: boolean;
}

/** The fields that are selected of an object of one type, in the order of the response. */
export interface Selection {
  fields: readonly FieldPlan[];
  /** Whether one of them has a name by which no property of an ordinary object can be set. */
  isBare: boolean;
  /** Whether all of them are plain. */
  isPlain: boolean;
  /** How many of them are counted, and the bytes of their names. */
  counted: { fields: number; bytes: number };
}

/** What an operation is planned from. Of the variables only those count that decide which fields are included. */
export type Planned = Pick<ExecutionContext, 'schema' | 'fragments' | 'operation' | 'variableValues'>;

/**
 * One operation of a document, for certain values of the variables that decide which fields are included. It grows while it is
 * executed: which types a selection meets is known only then.
 */
export class Plan {
  private readonly outputs: Outputs;
  private readonly grow: (fields: number) => void;
  private rootSelection: Selection | undefined;

  /** `grow` is told of fields that the plan holds from now on. */
  constructor(outputs: Outputs, grow: (fields: number) => void) {
    this.outputs = outputs;
    this.grow = grow;
  }

  root({ schema, fragments, variableValues, operation }: Planned, type: GraphQLObjectType): Selection {
    this.rootSelection ??= this.selection(
      schema,
      type,
      collectFields(schema, fragments, variableValues, type, operation.selectionSet),
    );
    return this.rootSelection;
  }

  /** What is selected of a field's value, which is of that type. */
  below({ schema, fragments, variableValues }: Planned, field: FieldPlan, type: GraphQLObjectType): Selection {
    const known = field.selections.get(type);
    if (known) return known;
    const collected = collectSubfields(schema, fragments, variableValues, type, field.nodes);
    const selection = this.selection(schema, type, collected);
    field.selections.set(type, selection);
    return selection;
  }

  private selection(
    schema: Planned['schema'],
    parentType: GraphQLObjectType,
    collected: ReadonlyMap<string, readonly FieldNode[]>,
  ): Selection {
    const fields: FieldPlan[] = [];
    for (const [key, nodes] of collected) {
      const definition = nodes[0] && getFieldDef(schema, parentType, nodes[0]);
      if (!definition) continue;
      const output = this.outputs.of(definition.type);
      const plain = plainOf(definition, parentType);
      const leaf = plain && output.kind === 'LEAF' ? output : null;
      fields.push({ key, nodes, parentType, definition, output, plain, leaf, selections: new Map() });
    }
    this.grow(fields.length);
    const isPlain = fields.every(({ plain }) => plain);
    const names = fields.filter(({ plain }) => plain?.isCounted).map(({ key }) => bytesOfName(key));
    const counted = { fields: names.length, bytes: names.reduce((sum, bytes) => sum + bytes, 0) };
    return { fields, isBare: collected.has('__proto__'), isPlain, counted };
  }
}

/** Arguments may be wrong, and are not looked at where a field is read plainly. */
function plainOf(definition: FieldPlan['definition'], { name }: GraphQLObjectType): Plain | null {
  if (definition === TypeNameMetaFieldDef) {
    const read = () => name;
    return { read, uncounted: read, isCounted: false, isWeighed: false };
  }
  const reads = definition.args.length === 0 ? plainReadsOf(definition) : undefined;
  if (!reads) return null;
  const { read, uncounted } = reads;
  const isCounted = uncounted !== null;
  const isWeighed = isCounted && isLeafType(getNamedType(definition.type));
  return { read, uncounted: uncounted ?? read, isCounted, isWeighed };
}
