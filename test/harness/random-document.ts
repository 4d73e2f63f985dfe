import {
  getNamedType,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  isCompositeType,
  isObjectType,
  isUnionType,
} from 'graphql';
import type { Dice } from './fuzz.ts';

export interface RandomDocument {
  text: string;
  operationNames: (string | null)[];
}

/** Aliases that an object in JavaScript has a use for, beside others. */
const aliases = ['a', 'b', 'a', 'b', '__proto__', 'then', 'toJSON', 'constructor', 'hasOwnProperty'];

/** A document for the schema. It is not quite valid: names may stand for several things, and some fields do not exist. */
export function randomDocument(dice: Dice, schema: GraphQLSchema): RandomDocument {
  const composites = Object.values(schema.getTypeMap()).filter(
    (type): type is GraphQLCompositeType => isCompositeType(type) && !type.name.startsWith('__'),
  );
  const fragmentNames = ['F0', 'F1', 'F2'];
  /** A fragment leads only to later ones: what leads back to itself would have no end. */
  let spreadable: readonly string[] = fragmentNames;

  function selection(type: GraphQLCompositeType, depth: number): string {
    const count = 1 + dice.below(4);
    return `{ ${Array.from({ length: count }, () => one(type, depth)).join(' ')} }`;
  }
  function one(type: GraphQLCompositeType, depth: number): string {
    if (spreadable.length > 0 && dice.chance(0.15)) return `...${dice.of(spreadable)} ${directives()}`;
    if (dice.chance(0.2) || isUnionType(type)) {
      const [condition, on] = dice.chance(0.7) ? conditionFor(type) : ['', type];
      return `...${condition} ${directives()} ${depth > 0 ? selection(on, depth - 1) : '{ __typename }'}`;
    }
    if (dice.chance(0.1)) return `${alias()} __typename ${directives()}`;
    if (dice.chance(0.02)) return 'doesNotExist';
    const field = dice.of(Object.values(type.getFields()));
    const inner = getNamedType(field.type);
    const below = !isCompositeType(inner) ? '' : depth > 0 ? selection(inner, depth - 1) : '{ __typename }';
    return `${alias()} ${field.name}${argumentsOf(field)} ${directives()} ${below}`;
  }
  function conditionFor(type: GraphQLCompositeType): [string, GraphQLCompositeType] {
    const on = isObjectType(type) ? type : dice.of([type, ...schema.getPossibleTypes(type)]);
    return [` on ${on.name}`, on];
  }
  const alias = () => (dice.chance(0.25) ? `${dice.of(aliases)}:` : '');
  const directives = () =>
    dice.chance(0.2)
      ? `@${dice.of(['skip', 'include', 'include'])}(if: ${dice.of(['true', 'true', '$yes', '$maybe', 'false'])})`
      : '';
  const argumentsOf = ({ args }: GraphQLField<unknown, unknown>) =>
    args.length > 0 && dice.chance(0.8)
      ? `(n: ${dice.of(['1', '$n', 'null', '"x"'])}, text: ${dice.of(['"t"', '$text'])})`
      : '';

  const operation = (kind: string, name: string) => {
    const root = kind === 'query' ? schema.getQueryType() : schema.getMutationType();
    return `${kind} ${name}($yes: Boolean! = true, $maybe: Boolean, $n: Int, $text: String = "given") ${root ? selection(root, 4) : ''}`;
  };
  const fragments = fragmentNames.map((name, index) => {
    spreadable = fragmentNames.slice(index + 1);
    const type = dice.of(composites);
    return `fragment ${name} on ${type.name} ${selection(type, 2)}`;
  });
  spreadable = fragmentNames;
  const kinds = [dice.of(['query', 'query', 'mutation']), ...(dice.chance(0.2) ? ['query'] : [])];
  const text = [...kinds.map((kind, index) => operation(kind, `Op${index}`)), ...fragments].join('\n');
  const operationNames = kinds.length === 1 && dice.chance(0.9) ? [null] : ['Op0', 'Op1', null];
  return { text, operationNames };
}

export function randomVariables(dice: Dice): Record<string, unknown> {
  const variables: Record<string, unknown> = {};
  if (dice.chance(0.5)) variables.yes = dice.chance(0.95) ? dice.chance(0.6) : dice.of([null, 'yes']);
  if (dice.chance(0.8)) variables.maybe = dice.of([true, false, null]);
  if (dice.chance(0.7)) variables.n = dice.chance(0.95) ? dice.below(9) : 'no number';
  if (dice.chance(0.5)) variables.text = dice.of(['another', null]);
  return variables;
}
