import { setImmediate } from 'node:timers/promises';
import { buildSchema, isObjectType, parse } from 'graphql';
import { buildExecutionContext } from 'graphql/execution/execute.js';
import { expect, test } from 'vitest';
import { OperationBudget } from '../src/graphql/budget.ts';
import { execute } from '../src/graphql/execution/execute.ts';
import { Plans } from '../src/graphql/execution/plans.ts';
import { plainly } from '../src/graphql/plain-fields.ts';
import { executedOnce } from './harness/executed-once.ts';
import { compareRandomExecutions, seedsFrom } from './harness/random-executions.ts';

test('random operations are answered as graphql-js does, to the byte, and call the same in the same order', async () => {
  const { differences, executions, failed, waited, plain, givenUp } = await compareRandomExecutions(seedsFrom(1, 300));
  expect(differences.slice(0, 1)).toEqual([]);
  // Otherwise there was little to compare.
  expect(Math.min(failed, executions - failed, waited)).toBeGreaterThan(executions / 6);
  expect(Math.min(plain, givenUp)).toBeGreaterThan(executions / 40);
});

executedOnce('a plain field that fails later fails once, though its list was begun twice', async () => {
  const things = buildSchema('type Thing { a: String } type Query { things: [Thing!] }');
  const thing = things.getType('Thing');
  if (!isObjectType(thing)) throw new Error('There is no such type.');
  let reads = 0;
  const a = thing.getFields().a ?? never();
  a.resolve = plainly(() => {
    reads += 1;
    return Promise.reject(new Error('It failed.'));
  });
  const unheard: unknown[] = [];
  const hear = (error: unknown) => unheard.push(error);
  const listeners = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', hear);
  try {
    const result = await execute({
      schema: things,
      document: parse('{ things { a } }'),
      rootValue: { things: [{}] },
      contextValue: { budget: new OperationBudget() },
    });
    await setImmediate();
    expect(result).toMatchObject({ data: { things: [{ a: null }] }, errors: [{ message: 'It failed.' }] });
    expect(result.errors).toHaveLength(1);
    expect({ reads, unheard }).toEqual({ reads: 2, unheard: [] });
  } finally {
    process.removeAllListeners('unhandledRejection');
    for (const listener of listeners) process.on('unhandledRejection', listener);
  }
});

const schema = buildSchema('type Query { a: String b: String }');

function operation(text: string, variableValues = {}) {
  const document = parse(text);
  const context = buildExecutionContext({ schema, document, variableValues });
  if (!('schema' in context)) throw new Error('This cannot be executed.');
  return { document, context };
}

test('an operation keeps its plan for each choice of the fields that are included', () => {
  const plans = new Plans();
  const text = 'query ($yes: Boolean!, $other: String) { a @include(if: $yes) b }';
  const { document, context } = operation(text, { yes: true });
  const plan = plans.of(document, context);
  expect(plans.of(document, { ...context, variableValues: { yes: true, other: 'x' } })).toBe(plan);
  expect(plans.of(document, { ...context, variableValues: { yes: false } })).not.toBe(plan);
});

test('plans of documents that came long ago are forgotten', () => {
  const plans = new Plans();
  const first = operation('{ a }');
  const plan = plans.of(first.document, first.context);
  for (let count = 0; count < 100; count += 1) {
    const { document, context } = operation(`{ a } # ${'x'.repeat(10_000)}`);
    plans.of(document, context);
  }
  expect(plans.of(first.document, first.context)).not.toBe(plan);
});

test('a plan that grows beyond what one may take is not kept', () => {
  const plans = new Plans();
  const { document, context } = operation(
    `query (${choices('$v: Boolean = false')}) { b ${choices('v: a @include(if: $v)')} }`,
  );
  const planFor = (chosen: number) => {
    const variableValues = Object.fromEntries(numbers.map((n) => [`v${n}`, (chosen & (1 << n)) !== 0]));
    const plan = plans.of(document, { ...context, variableValues });
    plan.root({ ...context, variableValues }, schema.getQueryType() ?? never());
    return plan;
  };
  const plan = planFor(1);
  expect(planFor(1)).toBe(plan);
  for (let chosen = 0; chosen < 2 ** numbers.length; chosen += 1) planFor(chosen);
  expect(planFor(1)).not.toBe(plan);
});

const numbers = Array.from({ length: 11 }, (_, n) => n);
const choices = (text: string) => numbers.map((n) => text.replaceAll(/v\b/g, `v${n}`)).join(' ');
const never = () => {
  throw new Error('The schema has no queries.');
};
