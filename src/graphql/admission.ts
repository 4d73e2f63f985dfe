import type { DocumentNode, GraphQLError } from 'graphql';
import type { RateLimits } from '../access/rate-limits.ts';
import type { Allowance } from '../access/rate-windows.ts';
import type { GraphQLContext } from './context.ts';
import { tooManyOperations } from './errors.ts';
import { faultsOfOperation } from './operation-limits.ts';
import { faultsOfReading } from './reading.ts';
import { countRootFields } from './root-fields.ts';
import { schema } from './schema.ts';

/** A valid operation that is about to run. */
export interface Operation {
  document: DocumentNode;
  operationName?: string | null | undefined;
  variableValues?: Record<string, unknown> | null | undefined;
  contextValue: GraphQLContext;
  /** All that was sent for it. */
  params: object;
}

/** The decision on whether an operation may run. */
export interface Admission {
  /** Why the operation may not run. Empty if it may. */
  errors: GraphQLError[];
  /** What the viewer may still do, if this operation used up some of it here. */
  allowance: Allowance | null;
}

/**
 * Decides whether an operation may run. It was counted once on arrival; here it is counted once more for each further root
 * field.
 */
export async function admit(operation: Operation, rateLimits: RateLimits): Promise<Admission> {
  const { viewer } = operation.contextValue;
  const costly = faultsOfOperation(schema, operation);
  if (costly.length > 0) return refused([...costly]);
  const hidden = faultsOfReading(schema, operation.document, viewer);
  if (hidden.length > 0) return refused(hidden);
  const further = countRootFields(operation) - 1;
  const allowance = further > 0 ? await rateLimits.take(viewer, further) : null;
  return { errors: allowance?.allowed === false ? [tooManyOperations(allowance)] : [], allowance };
}

const refused = (errors: GraphQLError[]): Admission => ({ errors, allowance: null });
