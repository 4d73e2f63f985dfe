import { afterEach, describe, expect, test } from 'vitest';
import { UnavailableError } from '../src/errors.ts';
import { type checkLimits, SchemaChecker, SchemaError } from '../src/json-schema/checker.ts';
import type { Json, JsonObject } from '../src/json.ts';
import { createLogger } from '../src/logger.ts';
import { schemas } from './harness/schemas.ts';

const opened: SchemaChecker[] = [];
afterEach(() => Promise.all(opened.splice(0).map((each) => each.close())));

/** A checker of the test's own, since others would wait for what it hangs. */
function checkerWith(limits: Partial<Record<keyof typeof checkLimits, number>>): SchemaChecker {
  const checker = new SchemaChecker(createLogger({ level: 'silent' }), limits);
  opened.push(checker);
  return checker;
}

/** Refers to the one before twice, so often: checking takes 2 to this many steps. */
function doubling(times: number): JsonObject {
  const $defs: JsonObject = { d0: {} };
  for (let i = 1; i <= times; i += 1) {
    const $ref = `#/$defs/d${i - 1}`;
    $defs[`d${i}`] = { allOf: [{ $ref }, { $ref }] };
  }
  return { $defs, $ref: `#/$defs/d${times}` };
}

/** Not refused, since each step goes into the value: how long it takes depends on how deep that is. */
const hanging: JsonObject = {
  $defs: { d: { properties: { x: { allOf: [{ $ref: '#/$defs/d' }, { $ref: '#/$defs/d' }] } } } },
  $ref: '#/$defs/d',
};
let deep: JsonObject = {};
for (let i = 0; i < 60; i += 1) deep = { x: deep };

describe('a schema that an operator writes', () => {
  test.each<[string, JsonObject, RegExp]>([
    ['is asynchronous', { $async: true, type: 'object' }, /^Contains `\$async`/],
    ['hides that it is asynchronous', { $ref: '#/elsewhere', elsewhere: { $async: true } }, /^Contains `\$async`/],
    ['refers to another server', { $ref: 'https://example.com/schema.json' }, /only references into the schema itself/],
    ['refers to a file', { properties: { a: { $ref: 'schema.json#/a' } } }, /only references into the schema itself/],
    ['refers by names that depend on the value', { $dynamicRef: '#node' }, /Use `\$ref`/],
    ['takes another base below its top', { properties: { a: { $id: 'http://x/' } } }, /^Contains an `\$id` below/],
    ['doubles its references', doubling(40), /^Is too large/],
    ['looks back', { pattern: '(a)\\1' }, /patterns are those of RE2/],
    ['looks around', { properties: { a: { pattern: '^(?!a)b$' } } }, /patterns are those of RE2/],
    ['has a pattern that is none', { patternProperties: { '[': {} } }, /patterns are those of RE2/],
    ['has too long a pattern', { pattern: 'a'.repeat(1001) }, /longer than 1000 characters/],
    [
      'has 2,000 patterns of properties',
      { patternProperties: Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`^p${i}_`, {}])) },
      /more than 100 patterns/,
    ],
    ['is none', { type: 'no such type' }, /^Is not a JSON Schema of draft 2020-12/],
    ['is none inside', { properties: { a: { minimum: 'low' } } }, /^Is not a JSON Schema of draft 2020-12/],
    ['leads nowhere', { $ref: '#/$defs/missing' }, /^Is not a JSON Schema of draft 2020-12/],
  ])('is refused when it %s', async (_how, schema, reason) => {
    expect(await schemas.faultOf(null, schema)).toMatch(reason);
  });

  test.each<[string, JsonObject]>([
    [
      'a tree',
      { $defs: { n: { properties: { l: { $ref: '#/$defs/n' }, r: { $ref: '#/$defs/n' } } } }, $ref: '#/$defs/n' },
    ],
    ['an anchor', { $defs: { a: { $anchor: 'a', type: 'string' } }, properties: { a: { $ref: '#a' } } }],
    ['properties with the names of keywords', { properties: { $ref: {}, $async: {}, pattern: {}, $id: {} } }],
    ['everyday patterns', { items: { anyOf: [{ pattern: '^\\d+(\\.\\d+)?$' }, { pattern: '^(a+)+$' }] } }],
    ['an id of its own', { $id: 'https://example.com/mine', type: 'object' }],
  ])('may hold %s', async (_what, schema) => {
    expect(await schemas.faultOf(null, schema)).toBeNull();
    // Twice, and beside another of the same id.
    expect(await schemas.check(null, { ...schema, title: 'Again.' }, {})).toBeNull();
  });

  test('matches patterns in a time that grows with the text alone', async () => {
    const text = `${'a'.repeat(100_000)}!`;
    expect(await schemas.check(null, { pattern: '^(a+)+$' }, text)).toMatchObject({ path: [] });
    expect(await schemas.check(null, { pattern: '^(a|aa)+$' }, text)).toMatchObject({ path: [] });
  });

  test('tells the first fault of a value, and where it is', async () => {
    const schema = {
      properties: { list: { items: { enum: ['on', 'off'] } } },
      required: ['list'],
      additionalProperties: false,
    };
    expect(await schemas.check(null, schema, { list: ['on'] })).toBeNull();
    expect(await schemas.check(null, schema, {})).toMatchObject({ path: [], message: expect.stringContaining('list') });
    expect(await schemas.check(null, schema, { list: ['on', 'up'] })).toMatchObject({ path: ['list', '1'] });
    expect(await schemas.check(null, schema, { list: [], more: 1 })).toMatchObject({
      path: ['more'],
      unknownProperty: true,
    });
  });

  test('tells the first of a great many faults, and gathers none of the others', async () => {
    const checker = checkerWith({ megabytes: 32 });
    const fault = await checker.check(null, { items: { type: 'string' } }, Array<Json>(500_000).fill(0));
    expect(fault).toMatchObject({ path: ['0'], message: 'must be string' });
  });

  test('is asked of values of at most 1 MiB of JSON', async () => {
    const text = (bytes: number) => 'x'.repeat(bytes - 2);
    expect(await schemas.check(null, { type: 'string' }, text(1024 * 1024))).toBeNull();
    const refused = schemas.check(null, { type: 'string' }, text(1024 * 1024 + 1));
    await expect(refused).rejects.toThrow(/^Cannot be checked against a value of more than 1048576 bytes/);
  });

  test('that was stored before and is asynchronous or too large is not run', async () => {
    await expect(schemas.check(null, { $async: true }, {})).rejects.toThrow('$async');
    await expect(schemas.check(null, doubling(40), {})).rejects.toThrow('too large');
  });
});

describe('a check that hangs', () => {
  test('is ended within its limit and fails alone, with what to do', async () => {
    const checker = checkerWith({ milliseconds: 300 });
    await checker.check(null, {}, {});
    const begun = performance.now();
    const hung = checker.check(null, hanging, deep).catch((error: unknown) => error);
    const others = Promise.all(Array.from({ length: 20 }, (_, i) => checker.check(null, { const: i }, i)));
    const error = await hung;
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(error).toBeInstanceOf(SchemaError);
    expect(String(error)).toMatch(/Takes longer than 300 ms to check: make the schema or the value simpler/);
    expect(await others).toEqual(Array.from({ length: 20 }, () => null));
  });

  test('takes turns with the checks of other schemas, however often it is asked for', async () => {
    const checker = checkerWith({ milliseconds: 200 });
    await checker.check(null, {}, {});
    const order: string[] = [];
    const hung = Array.from({ length: 3 }, (_, i) =>
      checker.check(null, hanging, { i, ...deep }).catch(() => order.push('hung')),
    );
    await checker.check(null, { type: 'number' }, 1);
    order.push('other');
    await Promise.all(hung);
    expect(order).toEqual(['hung', 'other', 'hung', 'hung']);
  });

  test('of an organization that has filled its share delays the check of another by one, and their same check too', async () => {
    const checker = checkerWith({ milliseconds: 200, waitingOfOrganization: 3, waitingMilliseconds: 20_000 });
    await checker.check(null, {}, {});
    const order: string[] = [];
    const ask = (organization: string, schema: JsonObject, value: Json) =>
      checker.check(organization, schema, value).then(
        () => order.push(organization),
        (error: unknown) => (error instanceof UnavailableError ? 'refused' : order.push(organization)),
      );
    // Each has a schema of its own, and the last is one that another organization asks for too.
    const slow = Array.from({ length: 3 }, (_, i) => ask('greedy', { ...hanging, title: String(i) }, deep));
    const common: JsonObject = { type: 'number' };
    const last = ask('greedy', common, 1);
    expect(await ask('greedy', { type: 'string' }, 'one too many')).toBe('refused');
    await ask('other', common, 1);
    await ask('other', { type: 'boolean' }, true);
    expect(order).toEqual(['greedy', 'other', 'greedy', 'other']);
    await Promise.all([...slow, last]);
    expect(order).toHaveLength(6);
  });

  test('keeps only so much text of one organization waiting', async () => {
    const checker = checkerWith({ milliseconds: 200, waitingText: 10_000 });
    await checker.check(null, {}, {});
    const hung = checker.check('greedy', hanging, deep).catch((error: unknown) => error);
    const value = 'x'.repeat(9000);
    const large = checker.check('greedy', { type: 'string' }, value);
    await expect(checker.check('greedy', { type: 'number' }, value)).rejects.toThrow(UnavailableError);
    expect(await checker.check('other', { type: 'number' }, value)).not.toBeNull();
    expect(await large).toBeNull();
    expect(await hung).toBeInstanceOf(SchemaError);
    expect(await checker.check('greedy', { type: 'number' }, value)).not.toBeNull();
  });

  test('keeps only so many waiting, and refuses the rest at once', async () => {
    const checker = checkerWith({ milliseconds: 200, waitingOfOrganization: 4, waitingMilliseconds: 20_000 });
    await checker.check(null, {}, {});
    const asked = Array.from({ length: 30 }, (_, i) =>
      checker.check(null, hanging, { i, ...deep }).catch((error: unknown) => error),
    );
    const outcomes = await Promise.all(asked);
    const refused = outcomes.filter((error) => error instanceof UnavailableError);
    expect(refused.length).toBeGreaterThanOrEqual(27);
    expect(outcomes.filter((error) => error instanceof SchemaError)).toHaveLength(30 - refused.length);
    expect(refused[0]).toMatchObject({ retryAfter: 1, message: expect.stringContaining('Try again') });
    expect(await checker.check(null, { type: 'string' }, 'well')).toBeNull();
  });

  test('keeps others waiting only so long, and what gave up waits no more', async () => {
    const checker = checkerWith({ milliseconds: 1500, waitingOfOrganization: 2, waitingMilliseconds: 500 });
    await checker.check(null, {}, {});
    const hung = checker.check('greedy', hanging, deep).catch((error: unknown) => error);
    const asked = [1, 2].map((value) => expect(checker.check('other', { const: value }, value)).rejects);
    await Promise.all(asked.map((each) => each.toThrow(UnavailableError)));
    expect(await hung).toBeInstanceOf(SchemaError);
    expect(await checker.check('other', { type: 'string' }, 'well')).toBeNull();
  });

  test('or takes too much memory costs only itself', async () => {
    const checker = checkerWith({ megabytes: 32, milliseconds: 20_000 });
    const nodes = Array.from({ length: 15_000 }, (_, i) => [
      `p${i}`,
      { type: 'string', minLength: i, maxLength: 2 * i },
    ]);
    const fault = await checker.faultOf(null, { properties: Object.fromEntries(nodes) });
    expect(fault).toMatch(/^Takes more than 32 MB of memory/);
    expect(await checker.check(null, { type: 'string' }, 'well')).toBeNull();
  });
});
