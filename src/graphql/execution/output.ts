import {
  type GraphQLAbstractType,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  isAbstractType,
  isLeafType,
  isListType,
  isNonNullType,
} from 'graphql';
import { plainTypeReadOf, type PlainTypeRead } from '../plain-fields.ts';

/** How the values of a type are completed, found out once for each type of a schema. */
export type Output =
  LeafOutput | ListOutput | { kind: 'OBJECT'; isNonNull: boolean; type: GraphQLObjectType } | AbstractOutput;

export interface LeafOutput {
  kind: 'LEAF';
  isNonNull: boolean;
  type: GraphQLLeafType;
}

export interface ListOutput {
  kind: 'LIST';
  isNonNull: boolean;
  item: Output;
}

export interface AbstractOutput {
  kind: 'ABSTRACT';
  isNonNull: boolean;
  type: GraphQLAbstractType;
  /** The types that values have turned out to be, by name. */
  runtimeTypes: Map<string, GraphQLObjectType>;
  /** If a value alone tells which it is. */
  plainType: PlainTypeRead | null;
}

export class Outputs {
  private readonly known = new Map<GraphQLOutputType, Output>();

  of(type: GraphQLOutputType): Output {
    const known = this.known.get(type);
    if (known) return known;
    const output = this.make(type);
    this.known.set(type, output);
    return output;
  }

  private make(outer: GraphQLOutputType): Output {
    const isNonNull = isNonNullType(outer);
    const type = isNonNull ? outer.ofType : outer;
    if (isListType(type)) return { kind: 'LIST', isNonNull, item: this.of(type.ofType) };
    if (isLeafType(type)) return { kind: 'LEAF', isNonNull, type };
    if (isAbstractType(type)) {
      return { kind: 'ABSTRACT', isNonNull, type, runtimeTypes: new Map(), plainType: plainTypeReadOf(type) ?? null };
    }
    return { kind: 'OBJECT', isNonNull, type };
  }
}
