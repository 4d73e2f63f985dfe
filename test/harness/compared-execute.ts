// Stands in for the project's `execute` in `npm run test:compared`.
import {
  execute as reference,
  type ExecutionArgs,
  type ExecutionResult,
  getOperationAST,
  OperationTypeNode,
  print,
} from 'graphql';
import { createContext, type GraphQLContext } from '../../src/graphql/context.ts';
import { execute as ours } from '../../src/graphql/execution/execute.ts';

/** What differed, until a test is told. */
export const differences: string[] = [];

/** Executes queries and events by graphql-js too, before and after: what it gave both times we must give. */
export function execute(args: ExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
  const operation = getOperationAST(args.document, args.operationName);
  return !operation || operation.operation === OperationTypeNode.MUTATION ? ours(args) : compared(args);
}

async function compared(args: ExecutionArgs): Promise<ExecutionResult> {
  const theirs = async () => JSON.stringify(await reference({ ...args, contextValue: anew(args.contextValue) }));
  const before = await theirs();
  const result = await ours(args);
  const json = JSON.stringify(result);
  if (json !== before && before === (await theirs())) {
    differences.push(
      `${print(args.document)}\n${JSON.stringify(args.variableValues)}\nours   ${json}\ntheirs ${before}`,
    );
  }
  return result;
}

/** As the operation found it: with nothing read or returned. */
function anew(context: unknown): unknown {
  if (!isContext(context)) return context;
  return { ...context, ...createContext(context.services, context.viewer, context.wire, context.origin) };
}

function isContext(context: unknown): context is GraphQLContext {
  return typeof context === 'object' && context !== null && 'services' in context && 'viewer' in context;
}
