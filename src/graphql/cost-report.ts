import { type DocumentNode, type ExecutionResult, getOperationAST, OperationTypeNode } from 'graphql';
import { costOfOperation } from './cost-plan.ts';
import { operationLimits } from './operation-limits.ts';
import { schema } from './schema.ts';

interface Costed {
  document: DocumentNode;
  operationName?: string | null | undefined;
  variableValues?: Record<string, unknown> | null | undefined;
}

/** Whether a request wants to know its cost: `"extensions": { "cost": true }`. */
export function asksForCost({ extensions }: { extensions?: unknown }): boolean {
  return typeof extensions === 'object' && extensions !== null && 'cost' in extensions && extensions.cost === true;
}

/**
 * The result, which also says in `extensions.cost` what the operation was counted as, and how much it might have been. The events
 * of a subscription do not say it.
 */
export function withCost<Result extends ExecutionResult>(
  result: Result,
  { document, operationName, variableValues }: Costed,
): Result {
  if (getOperationAST(document, operationName)?.operation === OperationTypeNode.SUBSCRIPTION) return result;
  const requested = costOfOperation(schema, document, operationName, variableValues ?? {})?.cost;
  return { ...result, extensions: { ...result.extensions, cost: { requested, limit: operationLimits.cost } } };
}
