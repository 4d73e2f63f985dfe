import { setImmediate } from 'node:timers/promises';
import { execute as reference, type ExecutionArgs, type ExecutionResult, parse } from 'graphql';
import { OperationBudget } from '../../src/graphql/budget.ts';
import { execute } from '../../src/graphql/execution/execute.ts';
import { Dice } from './fuzz.ts';
import { randomDocument, randomVariables } from './random-document.ts';
import { type Occasion, randomSchema } from './random-schema.ts';

type Execute = typeof reference;

/** How often each document is executed, so that plans are used again. */
const TIMES = 4;

export interface Difference {
  seed: number;
  document: string;
  args: Pick<ExecutionArgs, 'operationName' | 'variableValues'>;
  ours: string;
  theirs: string;
}

export interface Compared {
  differences: Difference[];
  /** How many executions there were, and how many of them had errors, or had to wait. */
  executions: number;
  failed: number;
  waited: number;
  /** How many lists were made of plain objects alone, and had some, and how many were given up. */
  plain: number;
  givenUp: number;
}

/** Executes random operations of random schemas by the project's executor and by graphql-js, and compares all that can be seen. */
export async function compareRandomExecutions(seeds: Iterable<number>): Promise<Compared> {
  const compared: Compared = { differences: [], executions: 0, failed: 0, waited: 0, plain: 0, givenUp: 0 };
  for (const seed of seeds) {
    const dice = new Dice(seed);
    const schema = randomSchema(dice);
    const { text, operationNames } = randomDocument(dice, schema);
    const document = parse(text);
    for (let time = 0; time < TIMES; time += 1) {
      const args = { operationName: dice.of(operationNames), variableValues: randomVariables(dice) };
      const occasion = dice.below(2 ** 32);
      const run = (by: Execute) => seen(by, { schema, document, ...args }, occasion, compared);
      const [ours, theirs] = [await run(execute), await forgiving(() => run(reference))];
      compared.executions += 1;
      if (theirs.includes('"errors"')) compared.failed += 1;
      if (theirs.endsWith('later')) compared.waited += 1;
      if (ours !== theirs) compared.differences.push({ seed, document: text, args, ours, theirs });
    }
  }
  return compared;
}

/**
 * Runs graphql-js, which leaves promises to themselves where an entry of a list fails that may not be null. That ours does not is seen by
 * whoever listens to this process.
 */
async function forgiving<T>(run: () => Promise<T>): Promise<T> {
  const listeners = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', () => undefined);
  try {
    return await run();
  } finally {
    await setImmediate();
    process.removeAllListeners('unhandledRejection');
    for (const listener of listeners) process.on('unhandledRejection', listener);
  }
}

async function seen(by: Execute, args: ExecutionArgs, seed: number, compared: Compared): Promise<string> {
  const occasion: Occasion = { seed, calls: [], budget: new WatchedBudget(compared) };
  const given = by({ ...args, rootValue: {}, contextValue: occasion });
  const result = await given;
  return [
    JSON.stringify(result),
    originsOf(result),
    ...occasion.calls,
    `${JSON.stringify(occasion.budget.counted)} counted`,
    given instanceof Promise ? 'later' : 'at once',
  ].join('\n');
}

class WatchedBudget extends OperationBudget {
  private readonly compared: Compared;

  constructor(compared: Compared) {
    super();
    this.compared = compared;
  }

  override attempt<T>(make: () => T | undefined): T | undefined {
    const made = super.attempt(make);
    if (made === undefined) this.compared.givenUp += 1;
    else if (holdsObject(made)) this.compared.plain += 1;
    return made;
  }
}

function holdsObject(value: unknown): boolean {
  return Array.isArray(value) ? value.some(holdsObject) : typeof value === 'object' && value !== null;
}

function originsOf({ errors = [] }: ExecutionResult): string {
  return errors.map(({ originalError, nodes }) => `${originalError?.message} at ${nodes?.length}`).join(', ');
}

export function seedsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
