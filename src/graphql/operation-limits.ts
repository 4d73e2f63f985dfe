import { type DocumentNode, getOperationAST, type GraphQLError, type GraphQLSchema, OperationTypeNode } from 'graphql';
import { costOfOperation } from './cost-plan.ts';
import { badUserInput } from './errors.ts';
import { faultOfVariables } from './variables.ts';

const MiB = 1024 * 1024;

/** The largest size of a request, in bytes. */
export const requestBytes = {
  /** With an API key. */
  key: 10 * MiB,
  /** With a client token. */
  clientToken: MiB,
  /** Without a credential. */
  stranger: 32 * 1024,
} as const;

/** Limits of one operation. */
export const operationLimits = {
  /** Characters of a document. What is long belongs into variables: a fault in a document is told with where it stands. */
  document: 250_000,
  /** Lexical tokens of a document. */
  tokens: 2000,
  /** Levels of nested fields. */
  depth: 16,
  /** Number of fields. Aliases and each spread of a fragment count. */
  fields: 1000,
  /** The sum of the fields' weights, each times the sizes of the pages around it. */
  cost: 20_000,
  /** How often one selection may hold the same field under different names. */
  repeats: 20,
  /** Characters of an alias. */
  alias: 100,
  /** Characters of all that is sent to begin a subscription, as JSON: it is held for as long as that runs. */
  subscription: 65_536,
} as const;

/** The limits that a valid operation exceeds. It depends on the variables, so it is not cached with the document. */
export function faultsOfOperation(
  schema: GraphQLSchema,
  operation: {
    document: DocumentNode;
    operationName?: string | null | undefined;
    variableValues?: Record<string, unknown> | null | undefined;
    params: object;
  },
): readonly GraphQLError[] {
  const { document, operationName } = operation;
  const variables = operation.variableValues ?? {};
  const asked = costOfOperation(schema, document, operationName, variables);
  if (!asked) return [];
  const faults: string[] = [];
  const refuse = (what: string, is: number, limit: number) => {
    if (is > limit) faults.push(`The operation ${what} ${is}; at most ${limit} are allowed.`);
  };
  refuse('nests its fields to a depth of', asked.depth, operationLimits.depth);
  refuse('selects too many fields:', asked.fields, operationLimits.fields);
  refuse('costs too much, counted as fields times page sizes:', asked.cost, operationLimits.cost);
  refuse(`selects \`${asked.repeats.field}\` too often in one place:`, asked.repeats.times, operationLimits.repeats);
  refuse('has too long an alias, in characters:', asked.longestAlias, operationLimits.alias);
  const { variableDefinitions = [], operation: type } = getOperationAST(document, operationName) ?? {};
  if (type === OperationTypeNode.SUBSCRIPTION) {
    refuse(
      'is a subscription of too many characters, with its variables:',
      JSON.stringify(operation.params).length,
      operationLimits.subscription,
    );
  }
  const fault = faultOfVariables(schema, variableDefinitions, variables);
  if (fault !== null) faults.push(fault);
  return faults.map(badUserInput);
}
