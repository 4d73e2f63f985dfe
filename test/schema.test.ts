import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  getNamedType,
  type GraphQLField,
  type GraphQLNamedType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isSpecifiedScalarType,
  type GraphQLOutputType,
} from 'graphql';
import { expect, test } from 'vitest';
import { printPublicSchema } from '../src/graphql/print.ts';
import { schema } from '../src/graphql/schema.ts';

const types = Object.values(schema.getTypeMap()).filter(
  (type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type),
);

test('schema.graphql is what the code makes; `npm run schema` writes it anew', () => {
  const written = readFileSync(join(import.meta.dirname, '..', 'schema.graphql'), 'utf8');
  expect(written).toBe(printPublicSchema());
});

test('every type, field, argument and enum value is described', () => {
  const silent = types.flatMap((type) => [
    ...(type.description ? [] : [type.name]),
    ...partsOf(type).flatMap(([name, { description }]) => (description ? [] : [`${type.name}.${name}`])),
  ]);
  expect(silent).toEqual([]);
});

function partsOf(type: GraphQLNamedType): [string, { description?: string | null | undefined }][] {
  if (isEnumType(type)) return type.getValues().map((value) => [value.name, value]);
  if (isInputObjectType(type)) return Object.entries(type.getFields());
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  return Object.values(type.getFields()).flatMap((field) => [
    [field.name, field],
    ...field.args.map((arg): [string, typeof arg] => [`${field.name}(${arg.name})`, arg]),
  ]);
}

/** Whoever selects these of several types at once gives them aliases. */
const needingAliases = [
  'ConversationPayload.message',
  'ConversationPayload.reply',
  'Node.agent',
  'Node.attachments',
  'Node.author',
  'Node.bytes',
  'Node.conversation',
  'Node.events',
  'Node.metadata',
  'Node.position',
  'Node.role',
  'Node.status',
  'Node.timeZone',
  'Node.title',
  'Node.url',
];

test('any members of a union or an interface can be selected together, each with all its fields', () => {
  const clashing = types.filter(isAbstractType).flatMap((type) => {
    const fields = schema.getPossibleTypes(type).flatMap((member) => Object.values(member.getFields()));
    const clashes = fields.filter((field) => fields.some((twin) => twin.name === field.name && !canMerge(field, twin)));
    return clashes.map((field) => `${type.name}.${field.name}`);
  });
  expect([...new Set(clashing)].sort()).toEqual(needingAliases);
});

/** Whether two fields of one response name may stand in one selection, as "Field Selection Merging" says. */
function canMerge(one: GraphQLField<unknown, unknown>, other: GraphQLField<unknown, unknown>): boolean {
  return sameShape(one.type, other.type);
}

function sameShape(one: GraphQLOutputType, other: GraphQLOutputType): boolean {
  if (isNonNullType(one) || isNonNullType(other)) {
    return isNonNullType(one) && isNonNullType(other) && sameShape(one.ofType, other.ofType);
  }
  if (isListType(one) || isListType(other)) {
    return isListType(one) && isListType(other) && sameShape(one.ofType, other.ofType);
  }
  if (!isLeafType(one) && !isLeafType(other)) return true;
  return getNamedType(one) === getNamedType(other);
}
