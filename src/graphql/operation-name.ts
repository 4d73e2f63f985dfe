import { type DocumentNode, getOperationAST, Kind, type OperationDefinitionNode } from 'graphql';

const known = new WeakMap<OperationDefinitionNode, string>();

/** Names an operation by its fields, such as `mutation sendMessage`. Its own name is whatever the client chose. */
export function nameOfOperation(args: { document: DocumentNode; operationName?: string | null | undefined }): string {
  const operation = getOperationAST(args.document, args.operationName);
  if (!operation) return 'an operation';
  const name = known.get(operation) ?? nameByFields(operation);
  known.set(operation, name);
  return name;
}

function nameByFields(operation: OperationDefinitionNode): string {
  const fields = operation.selectionSet.selections.flatMap((each) =>
    each.kind === Kind.FIELD ? [each.name.value] : [],
  );
  const [first, second, third, ...more] = new Set(fields);
  const told = [first, second, third].filter((name) => name !== undefined).join(', ');
  return `${operation.operation} ${told}${more.length > 0 ? ', …' : ''}`;
}
