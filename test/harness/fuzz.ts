import {
  getNamedType,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';

/** Random choices that a seed repeats. */
export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** From 0 to below 1 (mulberry32). */
  roll(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(limit: number): number {
    return Math.floor(this.roll() * limit);
  }

  chance(probability: number): boolean {
    return this.roll() < probability;
  }

  of<T>(choices: readonly T[]): T {
    const chosen = choices[this.below(choices.length)];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }
}

export interface Operation {
  kind: 'query' | 'mutation' | 'subscription';
  query: string;
  variables: Record<string, unknown>;
}

const strings = [
  '',
  ' ',
  'hello',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udfff\ud800',
  '\u202e\u200b\ufeff',
  '👩‍👩‍👧‍👦'.repeat(40),
  'e\u0301'.repeat(200),
  "'; DROP TABLE message; --",
  '${7*7}{{7*7}}%s%n',
  '../../etc/passwd',
  'x'.repeat(2000),
  '__proto__',
  'constructor',
  '%00%ff',
  '9'.repeat(400),
  '-1',
  'NaN',
  '\\',
  '"""',
  '\r\nSet-Cookie: a=b',
];

const numbers = [0, -0, 1, -1, 2, 50, 100, 101, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 53, 1e21, 1e308, 0.1, 1e-320];

const times = [
  '2026-01-01T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999Z',
  '+275760-09-13T00:00:00Z',
  '-271821-04-20T00:00:00Z',
  '2026-02-30T00:00:00Z',
  '2026-01-01T23:59:60Z',
  'now',
];

const urls = [
  'https://example.com/a',
  'http://[::1]/',
  'javascript:alert(1)',
  'file:///etc/passwd',
  'https://ex ample',
];

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i += 1) value = i % 2 ? [value] : { a: value };
  return value;
}

/** Random operations on a schema, valid for the most part, with values that are not what one expects. */
export class OperationMaker {
  private readonly schema: GraphQLSchema;
  private readonly dice: Dice;
  private readonly ids: readonly string[];
  private variables: { name: string; type: string; value: unknown }[] = [];

  /** `ids` are of things that exist, and cursors. */
  constructor(schema: GraphQLSchema, dice: Dice, ids: readonly string[]) {
    this.schema = schema;
    this.dice = dice;
    this.ids = ids;
  }

  make(): Operation {
    const { dice } = this;
    this.variables = [];
    const kind = dice.of(['query', 'query', 'mutation', 'mutation', 'subscription'] as const);
    const root = {
      query: this.schema.getQueryType(),
      mutation: this.schema.getMutationType(),
      subscription: this.schema.getSubscriptionType(),
    }[kind];
    if (!root) throw new Error(`no ${kind}`);
    const fields = Array.from({ length: kind === 'query' ? 1 + dice.below(3) : 1 }, (_, i) => this.field(root, 0, i));
    const declared = this.variables.map(({ name, type }) => `$${name}: ${type}`).join(', ');
    return {
      kind,
      query: `${kind}${declared && `(${declared})`} { ${fields.join(' ')} }`,
      variables: Object.fromEntries(this.variables.map(({ name, value }) => [name, value])),
    };
  }

  private field(type: GraphQLObjectType, depth: number, index: number): string {
    const { dice } = this;
    const field = dice.of(Object.values(type.getFields()));
    const args = field.args
      // What waits for a minute would only hold up the test.
      .filter((arg) => isNonNullType(arg.type) || dice.chance(0.4))
      .map((arg) => `${arg.name}: ${this.argument(arg.type)}`);
    return `a${index}: ${field.name}${args.length > 0 ? `(${args.join(', ')})` : ''}${this.selection(field.type, depth + 1)}`;
  }

  private selection(output: GraphQLOutputType, depth: number): string {
    const type = getNamedType(output);
    if (!isCompositeType(type)) return '';
    const { dice } = this;
    const object = isObjectType(type) ? type : dice.of(this.schema.getPossibleTypes(type));
    if (depth > 7 || dice.chance(0.1)) return ' { __typename }';
    const fields = Array.from({ length: 1 + dice.below(depth < 3 ? 4 : 2) }, (_, i) => this.field(object, depth, i));
    return isObjectType(type)
      ? ` { ${fields.join(' ')} }`
      : ` { __typename ... on ${object.name} { ${fields.join(' ')} } }`;
  }

  private argument(type: GraphQLInputType): string {
    const { dice } = this;
    const value = dice.chance(0.02) ? this.anything() : this.value(type, 0);
    const name = `v${this.variables.length}`;
    this.variables.push({ name, type: type.toString(), value });
    return `$${name}`;
  }

  private value(input: GraphQLInputType, depth: number): unknown {
    const { dice } = this;
    if (isNonNullType(input)) return this.value(input.ofType, depth);
    if (dice.chance(0.05)) return null;
    if (dice.chance(0.01)) return this.anything();
    if (isListType(input)) {
      return Array.from({ length: dice.chance(0.05) ? 300 : dice.below(3) }, () => this.value(input.ofType, depth + 1));
    }
    const type = getNamedType(input);
    if (isEnumType(type)) return dice.of(type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields()).filter((field) => field.name !== 'awaitReply');
      const given = type.isOneOf
        ? [dice.of(fields)]
        : fields.filter((field) => isNonNullType(field.type) || dice.chance(depth > 4 ? 0.1 : 0.35));
      return Object.fromEntries(given.map((field) => [field.name, this.value(field.type, depth + 1)]));
    }
    switch (type.name) {
      case 'ID':
      case 'EventCursor':
        return dice.chance(0.8) ? dice.of(this.ids) : dice.of(strings);
      case 'Int':
        return dice.chance(0.7) ? dice.below(101) : Math.trunc(dice.of(numbers));
      case 'Float':
        return dice.of(numbers);
      case 'Boolean':
        return dice.chance(0.5);
      case 'DateTime':
        return dice.of(times);
      case 'URL':
        return dice.of(urls);
      case 'JSON':
      case 'JSONObject':
        return { [dice.of(strings)]: this.anything() };
      default:
        return dice.chance(0.3) ? dice.of(this.ids) : dice.of(strings);
    }
  }

  private anything(): unknown {
    const { dice } = this;
    return dice.of<() => unknown>([
      () => dice.of(strings),
      () => dice.of(numbers),
      () => dice.of(times),
      () => null,
      () => true,
      () => [],
      () => ({}),
      () => nested(5 + dice.below(300)),
      () => JSON.parse('{"__proto__": {"a": 1}, "constructor": {"prototype": 1}}') as unknown,
      () => Array.from({ length: 500 }, (_, i) => i),
    ])();
  }
}

/** A document with some of its characters lost, doubled or taken for others. */
export function damage(text: string, dice: Dice): string {
  let damaged = text;
  for (let i = 0; i <= dice.below(4); i += 1) {
    const at = dice.below(damaged.length + 1);
    const piece = dice.of([
      '',
      '{',
      '}',
      '(',
      ')',
      '"',
      '"""',
      '$',
      '...',
      '@skip(if: true)',
      '\u0000',
      '#',
      '&',
      '9'.repeat(30),
    ]);
    damaged = damaged.slice(0, at) + piece + damaged.slice(at + dice.below(3));
  }
  return damaged;
}

/** Documents that are made to cost more than they seem. */
export function bomb(dice: Dice): string {
  const count = 100 + dice.below(900);
  const repeat = (piece: (index: number) => string, times = count) =>
    Array.from({ length: times }, (_, i) => piece(i)).join(' ');
  const levels = 10 + dice.below(90);
  return dice.of([
    () => `{ ${repeat(() => 'viewer { kind }')} }`,
    () => `{ ${repeat((i) => `a${i}: viewer { kind }`)} }`,
    () =>
      `{ viewer { ${repeat((i) => `...F${i}`, 10_000)} } } ${repeat((i) => `fragment F${i} on Viewer { kind }`, 10_000)}`,
    () =>
      `{ viewer { ...F0 } } ${repeat((i) => `fragment F${i} on Viewer { ...F${i + 1} ...F${i + 1} }`, levels)} fragment F${levels} on Viewer { kind }`,
    () => `{ viewer { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { ...A }`,
    () => `{ ${'a { '.repeat(10_000)} ${'} '.repeat(10_000)}`,
    () =>
      `{ conversations { nodes { ${'lastMessage { conversation { '.repeat(levels)} id ${'} } '.repeat(levels)} } } }`,
    () => `query (${repeat((i) => `$v${i}: Int`)}) { viewer { kind } }`,
    () => `{ viewer ${repeat(() => '@skip(if: false)')} { kind } }`,
    () => `{ node(id: ${'['.repeat(5_000)} ${']'.repeat(5_000)}) { id } }`,
    () => `{ ${repeat((i) => `nope${i}`)} }`,
    () => `{ __schema { types { ${'fields { type { '.repeat(levels)} name ${'} } '.repeat(levels)} } } }`,
    () => `{ conversations(first: 99999999999999999999) { nodes { id } } }`,
    () => `{ conversations(first: 1e400) { nodes { id } } }`,
    () => repeat((i) => `query Q${i} { viewer { kind } }`),
    () => '#'.repeat(100_000),
  ])();
}
