import {
  getNullableType,
  type GraphQLAbstractType,
  GraphQLBoolean,
  GraphQLEnumType,
  GraphQLError,
  type GraphQLFieldConfig,
  type GraphQLFieldConfigMap,
  GraphQLFloat,
  GraphQLID,
  GraphQLInt,
  GraphQLInterfaceType,
  type GraphQLLeafType,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  GraphQLScalarType,
  GraphQLSchema,
  GraphQLString,
  GraphQLUnionType,
  isAbstractType,
  isIntrospectionType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  responsePathAsArray,
} from 'graphql';
import { countPlainly, type OperationBudget } from '../../src/graphql/budget.ts';
import { typePlainly } from '../../src/graphql/plain-fields.ts';
import { Dice } from './fuzz.ts';

/** What the resolvers of a random schema are given. What they do depends on the seed, and on where in the response they are. */
export interface Occasion {
  seed: number;
  /** What has been called, in that order. */
  calls: string[];
  /** What plain fields are counted in. */
  budget: OperationBudget;
}

const Odd = new GraphQLScalarType({
  name: 'Odd',
  serialize(value) {
    if (value === 'throws') throw new Error('This cannot be serialized.');
    return value === 'vanishes' ? undefined : { odd: value };
  },
});
const Color = new GraphQLEnumType({ name: 'Color', values: { RED: { value: 1 }, GREEN: { value: 2 } } });
const leaves = [GraphQLString, GraphQLInt, GraphQLFloat, GraphQLBoolean, GraphQLID, Odd, Color];
/** Each type of leaf takes some of them and refuses others. */
const leafValues = ['text', 'throws', 'vanishes', 1, 2, 1, 2, 1, 2.5, 2 ** 40, NaN, true, {}, new Date(0)];

const rightValues = new Map<GraphQLLeafType, unknown>([
  [GraphQLString, 'a "text"'],
  [GraphQLInt, 7],
  [GraphQLFloat, -0.5],
  [GraphQLBoolean, false],
  [GraphQLID, 8],
  [Odd, 'odd'],
  [Color, 2],
]);

type Field = GraphQLFieldConfig<unknown, Occasion>;
type Fields = GraphQLFieldConfigMap<unknown, Occasion>;

/** A schema of random types, whose fields do all that a field can do: right and wrong, at once and later. */
export function randomSchema(dice: Dice): GraphQLSchema {
  // Otherwise few lists would be of plain objects alone.
  const isCalm = dice.chance(0.5);
  const objects: GraphQLObjectType[] = [];
  const abstracts: GraphQLAbstractType[] = [];
  const anyType = (depth = 0): GraphQLOutputType => {
    const type = dice.chance(isCalm ? 0.3 : 0.5)
      ? dice.of(leaves)
      : depth < 2 && dice.chance(isCalm ? 0.7 : 0.4)
        ? new GraphQLList(anyType(depth + 1))
        : dice.of([...objects, ...abstracts]);
    return dice.chance(0.3) ? new GraphQLNonNull(type) : type;
  };
  const fields = (prefix: string, least = 2): Fields =>
    Object.fromEntries(
      Array.from({ length: least + dice.below(3) }, (_, index): [string, Field] => [
        `${prefix}${index}`,
        {
          type: anyType(),
          ...(dice.chance(isCalm ? 0 : 0.3) && {
            args: {
              n: { type: dice.chance(0.3) ? new GraphQLNonNull(GraphQLInt) : GraphQLInt },
              text: { type: GraphQLString, defaultValue: 'by default' },
            },
          }),
          ...(dice.chance(0.7) && { resolve }),
        },
      ]),
    );
  const interfaces = [0, 1].map((index) => {
    let shared: Fields | undefined;
    const ofInterface = () => (shared ??= fields(`i${index}_`));
    const type = new GraphQLInterfaceType({
      name: `I${index}`,
      fields: ofInterface,
      ...(dice.chance(0.6) && { resolveType }),
    });
    return { type, ofInterface };
  });
  for (const index of [0, 1, 2, 3]) {
    const own = interfaces.filter(() => dice.chance(0.5));
    const name = `O${index}`;
    const type = new GraphQLObjectType<unknown, Occasion>({
      name,
      interfaces: own.map((each) => each.type),
      fields: () => Object.assign(fields('f'), ...own.map((each) => each.ofInterface())) as Fields,
      ...(dice.chance(isCalm ? 0 : 0.4) && { isTypeOf: (value, { calls }) => isOfType(value, name, calls) }),
    });
    objects.push(type);
  }
  const types = objects.slice(0, 1 + dice.below(3));
  const union = new GraphQLUnionType({ name: 'U', types, ...(dice.chance(0.6) && { resolveType }) });
  abstracts.push(...interfaces.map(({ type }) => type), union);
  const root = (name: string) => new GraphQLObjectType<unknown, Occasion>({ name, fields: fields('f', 4) });
  const schema = new GraphQLSchema({ query: root('Query'), mutation: root('Mutation'), types: objects });
  makePlain(dice, schema, isCalm);
  return schema;
}

/** Has some types read their fields, and tell which they are, plainly. */
function makePlain(dice: Dice, schema: GraphQLSchema, isCalm: boolean): void {
  const [most, right, makeValue] = isCalm ? [1, 0.99, rightValueOf] : [0.3, 0.95, valueOf];
  for (const type of Object.values(schema.getTypeMap())) {
    if (isAbstractType(type) && dice.chance(most)) type.resolveType = typePlainly(typeNamed);
    if (!isObjectType(type) || isIntrospectionType(type) || !type.name.startsWith('O') || !dice.chance(most)) continue;
    for (const field of Object.values(type.getFields())) {
      countPlainly(field, (source) => {
        const own = diceAt(isThing(source) ? source.seed : 0, field.name);
        const leaf = getNullableType(field.type);
        if (isLeafType(leaf) && own.chance(right)) return rightValues.get(leaf);
        return own.chance(right) ? makeValue(own, field.type, schema) : outcome(own, field.type, schema);
      });
    }
  }
}

function diceAt(seed: number, place: string): Dice {
  let hash = seed;
  for (const character of place) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  const dice = new Dice(hash);
  dice.roll();
  return dice;
}

function resolve(_source: unknown, args: object, { seed, calls }: Occasion, info: GraphQLResolveInfo): unknown {
  const place = responsePathAsArray(info.path).join('.');
  const { parentType, fieldName, fieldNodes, variableValues, operation } = info;
  calls.push(JSON.stringify([place, args, parentType, fieldName, fieldNodes.length, variableValues, operation.name]));
  return outcome(diceAt(seed, place), info.returnType, info.schema);
}

/** A value for a field or an entry of a list, a failure, or one of both later. */
function outcome(dice: Dice, type: GraphQLOutputType, schema: GraphQLSchema): unknown {
  if (dice.chance(0.2)) return later(dice.below(4), () => outcome(dice, type, schema));
  if (dice.chance(0.03)) throw new Error('thrown');
  if (dice.chance(0.02)) throw new GraphQLError('refused', { extensions: { code: 'REFUSED' } });
  if (dice.chance(0.01)) throw 'no error at all' as unknown;
  return dice.chance(0.03) ? new Error('returned') : valueOf(dice, type, schema);
}

async function later(ticks: number, make: () => unknown): Promise<unknown> {
  for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
  return make();
}

function valueOf(dice: Dice, type: GraphQLOutputType, schema: GraphQLSchema): unknown {
  if (dice.chance(0.05)) return dice.of([null, null, undefined]);
  if (isNonNullType(type)) return valueOf(dice, type.ofType, schema);
  if (isListType(type)) return listOf(dice, type.ofType, schema);
  if (isLeafType(type)) return dice.chance(0.5) && type !== Color ? 'text' : dice.of(leafValues);
  const possible = isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
  return dice.chance(0.95) && possible.length > 0
    ? thingOf(dice, dice.of(possible), schema)
    : { type: dice.of(['O0', 'O3', 'I0', 'Color', 'Nobody', undefined, 7]), seed: 0, isLate: dice.chance(0.3) };
}

/** The same without what fails or has to wait. */
function rightValueOf(dice: Dice, type: GraphQLOutputType, schema: GraphQLSchema): unknown {
  if (isNonNullType(type)) return rightValueOf(dice, type.ofType, schema);
  if (isListType(type)) return Array.from({ length: dice.below(3) }, () => rightValueOf(dice, type.ofType, schema));
  if (isLeafType(type)) return rightValues.get(type);
  return thingOf(dice, dice.of(isAbstractType(type) ? schema.getPossibleTypes(type) : [type]), schema);
}

function listOf(dice: Dice, type: GraphQLOutputType, schema: GraphQLSchema): unknown {
  if (dice.chance(0.04)) return dice.of(['text', 7, {}]);
  const areRight = dice.chance(0.5);
  const entries = Array.from({ length: dice.below(4) }, () => {
    if (areRight) return rightValueOf(dice, type, schema);
    if (dice.chance(0.05)) return new Error('an entry');
    return dice.chance(0.2) ? later(dice.below(4), () => outcome(dice, type, schema)) : valueOf(dice, type, schema);
  });
  for (const entry of entries) if (entry instanceof Promise) entry.catch(() => undefined);
  if (dice.chance(0.7)) return entries;
  return dice.chance(0.5) ? new Set(entries) : oneByOne(entries, dice.chance(0.3));
}

function* oneByOne(entries: unknown[], breaks: boolean): Generator {
  yield* entries;
  if (breaks) throw new Error('The list broke off.');
}

/** An object of the type. What its type has no resolvers for are its own properties, of which some are methods. */
function thingOf(dice: Dice, type: GraphQLObjectType, schema: GraphQLSchema): object {
  const { seed, isMethod } = { seed: dice.below(2 ** 32), isMethod: dice.chance(0.5) };
  const thing = { type: type.name, seed, isLate: dice.chance(0.3), ...(dice.chance(0.5) && { __typename: type.name }) };
  for (const { name, resolve: resolver, type: own } of Object.values(type.getFields())) {
    const get = () => outcome(diceAt(seed, name), own, schema);
    if (!resolver) Object.defineProperty(thing, name, isMethod ? { value: get } : { get });
  }
  return thing;
}

interface Thing {
  type: unknown;
  seed: number;
  isLate: boolean;
}

function isThing(value: unknown): value is Thing {
  return typeof value === 'object' && value !== null && 'type' in value && 'isLate' in value;
}

function typeNamed(value: unknown): string {
  if (!isThing(value)) throw new Error('This has no type.');
  return String(value.type);
}

/** What it gives may be no name at all. */
function resolveType(value: unknown, { calls }: Occasion): Promise<string> | string;
function resolveType(value: unknown, { calls }: Occasion): unknown {
  calls.push('resolveType');
  if (!isThing(value)) throw new Error('This has no type.');
  return value.isLate ? Promise.resolve(value.type) : value.type;
}

function isOfType(value: unknown, name: string, calls: string[]): boolean | Promise<boolean> {
  calls.push(`isTypeOf ${name}`);
  if (!isThing(value)) return false;
  return value.isLate ? Promise.resolve(value.type === name) : value.type === name;
}
