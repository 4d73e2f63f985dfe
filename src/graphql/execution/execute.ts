import {
  assertValidSchema,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  locatedError,
} from 'graphql';
import { buildExecutionContext } from 'graphql/execution/execute.js';
import { Execution } from './execution.ts';
import { isPromise } from './is-promise.ts';
import { Plans } from './plans.ts';

const plansOfSchemas = new WeakMap<GraphQLSchema, Plans>();

/**
 * Does the same as `execute` of graphql-js, in less time: what does not depend on values is found out once for an
 * operation. Results are the same to the byte; only the prototype of their objects differs.
 */
export function execute(args: ExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
  const { schema, document } = args;
  assertValidSchema(schema);
  const context = buildExecutionContext(args);
  if (!('schema' in context)) return { errors: context };
  const { collectedErrors } = context;
  const resultOf = (data: Record<string, unknown> | null): ExecutionResult => {
    const { errors } = collectedErrors;
    return errors.length === 0 ? { data } : { errors, data };
  };
  const failed = (error: unknown) => {
    collectedErrors.add(error instanceof GraphQLError ? error : locatedError(error, undefined), undefined);
    return resultOf(null);
  };
  try {
    const data = new Execution(context, plansOf(schema).of(document, context)).run();
    return isPromise(data) ? data.then(resultOf, failed) : resultOf(data);
  } catch (error) {
    return failed(error);
  }
}

function plansOf(schema: GraphQLSchema): Plans {
  const plans = plansOfSchemas.get(schema) ?? new Plans();
  plansOfSchemas.set(schema, plans);
  return plans;
}
