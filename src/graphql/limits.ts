import { createComplexityRule } from '@pothos/plugin-complexity';
import { type DocumentNode, GraphQLError, type GraphQLSchema, validate } from 'graphql';
import type { GraphQLContext } from './context.ts';

/** What one operation may be. */
export const operationLimits = {
  /** Lexical tokens of a document. */
  tokens: 2000,
  /** Fields one below the other. */
  depth: 16,
  /** Fields in all, with their aliases, each time a fragment is spread. */
  fields: 1000,
  /** Fields times the sizes of the pages that they are in. */
  cost: 20_000,
} as const;

/** What is too much in an operation that is valid; it depends on its variables, so it cannot be remembered with the document. */
export function faultsOfCost(
  schema: GraphQLSchema,
  operation: {
    document: DocumentNode;
    operationName?: string | null | undefined;
    variableValues?: Record<string, unknown> | null | undefined;
    contextValue: GraphQLContext;
  },
): readonly GraphQLError[] {
  const { document, operationName = null, variableValues, contextValue } = operation;
  const rule = createComplexityRule({
    context: contextValue,
    variableValues: variableValues ?? {},
    operationName,
    validate({ complexity, depth, breadth }, report) {
      const refuse = (what: string, is: number, limit: number) => {
        if (is > limit) report(new GraphQLError(`The operation ${what} ${is}; at most ${limit} are allowed.`));
      };
      refuse('nests its fields to a depth of', depth, operationLimits.depth);
      refuse('selects too many fields:', breadth, operationLimits.fields);
      refuse('costs too much, counted as fields times page sizes:', complexity, operationLimits.cost);
    },
  });
  return validate(schema, document, [rule]);
}

/** What a field costs: each of a page, or of the ids that are asked for. */
export function costOf(args: Record<string, unknown>, field: { args: readonly { name: string }[] }) {
  const pages = field.args.some(({ name }) => name === 'first');
  const { first, last, ids } = args;
  const size = Array.isArray(ids) ? ids.length : pages ? (first ?? last ?? 50) : 1;
  return { field: 1, multiplier: typeof size === 'number' ? Math.max(1, size) : 1 };
}
